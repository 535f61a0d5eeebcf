package ingest_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/internal/tailnet"
	"github.com/passmuster/muster/internal/tailnet/tailnettest"
	"github.com/passmuster/muster/internal/wire"
)

// claims are headers by which a node may say that it is another.
var claims = map[string]string{
	"Authorization": "Bearer " + token, "X-County": "17031", "Tailscale-Tags": "tag:county-17031", "Tailscale-User-Login": "ciso@example.gov",
	"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "X-Real-Ip": "127.0.0.1",
}

// On a real tailnet, a node that claims another county by its name, by headers, by what
// its host signs or by another's host speaks for its own tag and nothing else.
func TestSpoofedTag(t *testing.T) {
	tail := tailnettest.New(t, tailnettest.Options{})
	collector := tail.Node(t, tailnet.Options{Hostname: "collector"})
	l := newLab(t, func(o *ingest.Options) {
		o.Identify = func(r *http.Request) (muster.Peer, error) { return collector.WhoIs(r.Context(), r.RemoteAddr) }
		g, err := ingest.New(*o)
		must(t, err)
		listener, err := collector.Listen("tcp", ":80")
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- g.Run(ctx) }()
		server := &http.Server{Handler: g}
		go server.Serve(listener)
		t.Cleanup(func() {
			server.Close()
			cancel()
			must(t, <-ended)
		})
	})
	join := func(hostname string, tags ...string) func(path string, body []byte) (string, []byte) {
		if len(tags) > 0 {
			tail.Tag(hostname, tags...)
		}
		node := tail.Node(t, tailnet.Options{Hostname: hostname, ShieldsUp: true})
		return func(path string, body []byte) (string, []byte) {
			t.Helper()
			req, err := http.NewRequest(http.MethodPost, "http://collector"+path, bytes.NewReader(body))
			must(t, err)
			for name, value := range claims {
				req.Header.Set(name, value)
			}
			r, err := node.Client().Do(req)
			must(t, err)
			if r.StatusCode != http.StatusOK {
				return code(t, r), nil
			}
			b, err := io.ReadAll(r.Body)
			must(t, err)
			must(t, r.Body.Close())
			return "", b
		}
	}
	cook := join("cook-1", "tag:county-17031")
	enrolls := func(node func(string, []byte) (string, []byte), h *host, want string, state muster.HostState) {
		t.Helper()
		refused, b := node("/v1/enroll", h.statement())
		var a wire.EnrollAnswer
		if b != nil {
			must(t, wire.Unmarshal(b, &a))
		}
		if refused != want || a.State != state {
			t.Errorf("enroll: %q %q, want %q %q", refused, a.State, want, state)
		}
	}
	ships := func(node func(string, []byte) (string, []byte), f *wire.Frame, want wire.Code) {
		t.Helper()
		refused, b := node("/v1/reports", batch(t, f))
		if got := outcomes(t, bytes.NewReader(b)); refused != "" || len(got) != 1 || got[0].Code != want {
			t.Errorf("a report: %q %+v, want %s", refused, got, want)
		}
	}
	real := newHost(t, 1)
	enrolls(cook, real, "", muster.HostActive)
	ships(cook, real.next(), wire.CodeStored)
	before, err := l.store.Host(t.Context(), muster.View{}, real.id)
	must(t, err)

	for hostname, c := range map[string]struct {
		tags    []string
		code    string
		state   muster.HostState
		another wire.Code // for the other's host
	}{
		"county-17031":     {[]string{"tag:county-17043"}, "wrong_county", "", wire.CodeUnknownHost},
		"tag-county-17031": {nil, "", muster.HostPending, wire.CodeUnknownHost},
		"cook-2":           {[]string{"tag:county-170310", "tag:xcounty-17031", "tag:county-17043"}, "wrong_county", "", wire.CodeUnknownHost},
	} {
		spoof := join(hostname, c.tags...)
		enrolls(spoof, newHost(t, 2), c.code, c.state)
		ships(spoof, real.next(), c.another)
		if c.tags == nil {
			continue
		}
		if refused, _ := spoof("/v1/enroll", real.statement()); refused != c.code {
			t.Errorf("%s enrolls another's host: %q", hostname, refused)
		}
		own := newHost(t, 3) // enrolled as its own, reports for the other county
		own.county = "17043"
		enrolls(spoof, own, "", muster.HostActive)
		ships(spoof, own.next(), wire.CodeWrongCounty)
	}
	cookCounty, err := l.store.Hosts(t.Context(), muster.View{}, muster.HostQuery{County: "17031"})
	must(t, err)
	if len(cookCounty.Hosts) != 1 || cookCounty.Hosts[0].ID != real.id || cookCounty.Hosts[0].Seq != before.Seq {
		t.Errorf("county 17031 has %+v", cookCounty.Hosts)
	}
}

package ingest_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/internal/wire"
)

// nodes is a tailnet whose members say their name as bearer.
type nodes map[string]muster.Peer

func (n nodes) identify(r *http.Request) (muster.Peer, error) {
	name := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if p, ok := n[name]; ok {
		p.Node, p.Name = name, name
		return p, nil
	}
	return muster.Peer{}, errors.New("no node has this address")
}

func cook(counties ...muster.County) muster.Peer { return muster.Peer{Counties: counties} }

func newTailnet(t *testing.T, n nodes) *lab {
	return newLab(t, func(o *ingest.Options) { o.Identify = n.identify })
}

// code is the stable word of an answer; "" where all is well.
func code(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	must(t, err)
	if r.StatusCode == http.StatusOK {
		return ""
	}
	var p struct{ Code string }
	must(t, json.Unmarshal(b, &p))
	return p.Code
}

// shipFrom sends the host's next report from a node.
func (l *lab) shipFrom(node string, h *host) (string, wire.Code) {
	l.Helper()
	r := send(l, l.url+"/v1/reports", node, batch(l, h.next()))
	if r.StatusCode != http.StatusOK {
		return r.Status, ""
	}
	return "", outcomes(l, r.Body)[0].Code
}

func (l *lab) checkin(node string, c wire.Checkin) (*http.Response, wire.CheckinAnswer) {
	l.Helper()
	b, err := wire.Marshal(c)
	must(l, err)
	r := send(l, l.url+"/v1/checkin", node, b)
	var a wire.CheckinAnswer
	if r.StatusCode == http.StatusOK {
		b, err = io.ReadAll(r.Body)
		must(l, err)
		must(l, wire.Unmarshal(b, &a))
	}
	return r, a
}

func TestNodesSpeakForTheirCounty(t *testing.T) {
	l := newTailnet(t, nodes{"cook": cook("17031"), "both": cook("17043", "17031"), "dupage": cook("17043"), "plain": {},
		"boss": {Roles: []muster.Role{muster.RoleCISO}, Login: "ciso@example.gov"}})
	for i, c := range []struct {
		node, code string
		state      muster.HostState
	}{
		{"cook", "", muster.HostActive},
		{"both", "", muster.HostActive},
		{"dupage", "wrong_county", ""},
		{"plain", "", muster.HostPending},
		{"boss", "", muster.HostPending}, // who may read everything speaks for no county
		{"stranger", "unknown_sender", ""},
	} {
		h := newHost(t, uint64(i))
		if got := code(t, h.enroll(l.url, c.node)); got != c.code {
			t.Errorf("%s: %q, want %q", c.node, got, c.code)
		}
		if e, err := l.store.Enrolled(t.Context(), h.id); c.state != "" && (err != nil || e.State != c.state || e.Node != c.node) {
			t.Errorf("%s: %+v %v", c.node, e, err)
		} else if c.state == "" && err == nil {
			t.Errorf("%s: refused and enrolled", c.node)
		}
	}
}

func TestHostIsBoundToItsNode(t *testing.T) {
	n := nodes{"a": cook("17031"), "b": cook("17031"), "other": cook("17043")}
	l := newTailnet(t, n)
	h := newHost(t, 1)
	want := func(node string, want wire.Code) {
		t.Helper()
		seq, prev := h.seq, h.prev
		if refused, got := l.shipFrom(node, h); refused != "" || got != want {
			t.Errorf("a report from %s: %s %q, want %q", node, refused, got, want)
		}
		if want != wire.CodeStored {
			h.seq, h.prev = seq, prev
		}
		r, _ := l.checkin(node, wire.Checkin{Host: h.id})
		if got := code(t, r); (want == wire.CodeStored) != (got == "") || got != "" && got != string(want) {
			t.Errorf("a check-in from %s: %q, want %q", node, got, want)
		}
	}
	enroll := func(node string) {
		t.Helper()
		if got := code(t, h.enroll(l.url, node)); got != "" {
			t.Errorf("enroll from %s: %s", node, got)
		}
	}
	flagged := func(want muster.Clone) {
		t.Helper()
		if s, err := l.store.Host(t.Context(), muster.View{}, h.id); err != nil || s.ConflictReason != want {
			t.Errorf("flagged %q, want %q: %v", s.ConflictReason, want, err)
		}
	}
	enroll("a")
	want("a", wire.CodeStored)
	want("b", wire.CodeUnknownHost)
	want("other", wire.CodeUnknownHost)
	enroll("b") // the node signed in anew
	want("b", wire.CodeStored)
	want("a", wire.CodeUnknownHost)
	flagged("")
	enroll("a") // and its copy is still there
	want("a", wire.CodeStored)
	flagged(muster.CloneNode)

	n["a"] = cook("17043") // retagged
	want("a", wire.CodeWrongCounty)
	n["a"] = muster.Peer{} // what was let in stays so without a tag
	want("a", wire.CodeStored)
	if got := code(t, h.enroll(l.url, "other")); got != "wrong_county" {
		t.Errorf("enroll from another county's node: %q", got)
	}
}

// A host that asks is told until it brings a report of later, by its own clock.
func TestAuditNow(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"": 0, "ClockBehind": -40 * 24 * time.Hour, "ClockAhead": 3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			h := newHost(t, 1)
			says := time.Now().Add(ahead)
			h.report.Header.CollectedAt = says.Add(-2 * time.Hour) // next adds one
			h.enrolled(l.url)
			l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
			want := func(want bool, now time.Time) {
				t.Helper()
				if _, a := l.checkin(token, wire.Checkin{Host: h.id, Now: now}); a.AuditNow != want {
					t.Errorf("audit now: %v", a.AuditNow)
				}
			}
			want(false, says)
			must(t, l.store.RequestAudit(t.Context(), h.id, muster.LogEntry{At: time.Now(), Actor: "console", Action: "request_audit"}))
			want(true, says)
			want(true, time.Time{}) // as it last said
			h.enrolled(l.url)
			want(true, time.Time{})
			h.report.Header.CollectedAt = says.Add(-90 * time.Minute)
			l.ship([]*wire.Frame{h.next()}, wire.CodeStored) // it lay in the outbox
			want(true, says)
			h.report.Header.CollectedAt = says.Add(-time.Hour + time.Minute)
			l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
			want(false, time.Time{})
			want(false, says.Add(time.Minute))
		})
	}
}

// A host says its clock once, and it may have been put right since, or the collector
// have forgotten it: it is asked all the same, and not for ever.
func TestAuditNowWithoutAClock(t *testing.T) {
	for name, said := range map[string]time.Duration{"": 0, "PutForward": -40 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			var later atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
			l := newLab(t, func(o *ingest.Options) { o.Now = now })
			h := newHost(t, 1).enrolled(l.url)
			want := func(want bool) {
				t.Helper()
				later.Add(int64(time.Minute))
				c := wire.Checkin{Host: h.id}
				if said != 0 {
					c.Now = now().Add(said)
				}
				said = 0
				if _, a := l.checkin(token, c); a.AuditNow != want {
					t.Errorf("audit now: %v", a.AuditNow)
				}
			}
			want(false)
			h.report.Header.CollectedAt = now().Add(-2 * time.Hour)
			l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
			later.Add(int64(time.Minute))
			must(t, l.store.RequestAudit(t.Context(), h.id, muster.LogEntry{At: now(), Actor: "console", Action: "request_audit"}))
			want(true)
			h.report.Header.CollectedAt = now().Add(-time.Hour) // next adds one
			l.ship([]*wire.Frame{h.next()}, wire.CodeStored)
			want(false)
		})
	}
}

// slow is a body that comes when it is told to.
type slow chan struct{}

func (s slow) Read([]byte) (int, error) {
	<-s
	return 0, io.EOF
}

// One node's flood is turned away; another node is served meanwhile, by the same route.
func TestOneNodeCrowdsNobodyOut(t *testing.T) {
	for _, path := range []string{"/v1/reports", "/v1/courier"} {
		t.Run(path, func(t *testing.T) { crowdOut(t, path) })
	}
}

func crowdOut(t *testing.T, path string) {
	l := newTailnet(t, nodes{"a": cook("17031"), "b": cook("17031")})
	wait := make(slow)
	codes := make(chan int, 20)
	var all sync.WaitGroup
	for range cap(codes) {
		all.Go(func() {
			req, err := http.NewRequest(http.MethodPost, l.url+path, wait)
			if err == nil {
				req.Header.Set("Authorization", "Bearer a")
				var r *http.Response
				if r, err = http.DefaultClient.Do(req); err == nil {
					r.Body.Close()
					codes <- r.StatusCode
				}
			}
			if err != nil {
				t.Error(err)
				codes <- 0
			}
		})
	}
	for range cap(codes) - 4 {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("too many of one node: %d", code)
		}
	}
	h := newHost(t, 1)
	if got := code(t, h.enroll(l.url, "b")); got != "" {
		t.Errorf("another node: %s", got)
	}
	if r := send(t, l.url+path, "b", nil); r.StatusCode != http.StatusOK {
		t.Errorf("another node: %s", r.Status)
	}
	close(wait)
	all.Wait()
	for range 4 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("it had a place: %d", code)
		}
	}
	if got := code(t, h.enroll(l.url, "a")); got != "" {
		t.Errorf("the node again: %s", got)
	}
}

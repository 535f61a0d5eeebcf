package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/tailnet"
	"github.com/passmuster/muster/internal/tailnet/tailnettest"
)

// world is a tailnet with the collector in it, as serve starts it.
type world struct {
	*testing.T
	*tailnettest.Tailnet
	data string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, Tailnet: tailnettest.New(t, tailnettest.Options{}), data: filepath.Join(t.TempDir(), "data")}
	ctx, stop := context.WithCancel(context.Background())
	out, in := io.Pipe()
	serve := newRootCommand()
	serve.SetArgs([]string{"serve", "--state", "17", "--listen", "127.0.0.1:0", "--data", w.data,
		"--tailnet-hostname", "collector", "--control-url", w.ControlURL("collector")})
	serve.SetOut(in)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	must(t, err)
	serve.SetErr(log)
	ended := make(chan error, 1)
	go func() {
		err := serve.ExecuteContext(ctx)
		in.CloseWithError(fmt.Errorf("serve ended: %w", err))
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, log.Close()); err != nil {
			t.Error(err)
		}
		if b, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("the collector's log:\n%s", b)
		}
	})
	var link string
	if _, err := fmt.Fscanf(out, "dashboard %s\n", &link); err != nil {
		t.Fatal(err)
	}
	return w
}

// node joins the tailnet; its client stands for whatever runs there.
func (w *world) node(name string) *client {
	w.Helper()
	return &client{T: w.T, url: "http://collector", http: http.Client{Transport: w.Node(w, tailnet.Options{Hostname: name, ShieldsUp: true}).Client().Transport}}
}

// ask gives the status and the body of an answer.
func (c *client) ask(method, path string, header ...string) (int, string) {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, c.url+path, nil)
	must(c.T, err)
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	must(c.T, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(c.T, err)
	return resp.StatusCode, string(b)
}

func TestTailnet(t *testing.T) {
	w := newWorld(t)
	w.Tag("clerk", "tag:county-17031", "tag:other")
	w.Tag("elsewhere", "tag:county-17043")
	clerk, elsewhere, plain := w.node("clerk"), w.node("elsewhere"), w.node("plain")

	// A node speaks for the county of its tag; what has none waits.
	clerk.enroll()
	if _, err := elsewhere.introduce(); err == nil || !strings.Contains(err.Error(), "wrong_county") {
		t.Errorf("a node of another county: %v", err)
	}
	plain.token = "tag:county-17031" // nobody says so of themselves
	if state, err := plain.introduce(); err != nil || state != muster.HostPending {
		t.Errorf("a node without a tag: %s %v", state, err)
	}

	// Whoever has taken over its node can make keys; none counts before a person has looked.
	forger := &client{T: t, url: clerk.url, http: http.Client{Transport: clerk.http.Transport}}
	if state, err := forger.introduce(); err != nil || state != muster.HostPending {
		t.Errorf("a second key from the node of a host: %s %v", state, err)
	}

	// People have the role of their grant and no other.
	w.Grant("viewer", tailnet.Capability, `{"roles":["viewer"]}`)
	w.Grant("operator", tailnet.Capability, `{"roles":["operator"]}`)
	w.Grant("ciso", tailnet.Capability, `{"roles":["ciso"]}`)
	w.Grant("cook", tailnet.Capability, `{"roles":["county:17031"]}`)
	w.Grant("dupage", tailnet.Capability, `{"roles":["county:17043","county:1703"]}`)
	viewer, operator, ciso, cook, dupage := w.node("viewer"), w.node("operator"), w.node("ciso"), w.node("cook"), w.node("dupage")
	approve, audit := "/api/v1/hosts/"+string(plain.id)+"/approve", "/api/v1/hosts/"+string(clerk.id)+"/audit"
	spoofed := []string{"Tailscale-User-Login: ciso@example.gov", "X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1"}
	for _, c := range []struct {
		who          *client
		name         string
		method, path string
		want         int
	}{
		{plain, "plain", "GET", "/", 403},
		{clerk, "clerk", "GET", "/api/v1/hosts", 403},
		{plain, "plain", "GET", "/login?token=x", 403},
		{viewer, "viewer", "GET", "/", 200},
		{viewer, "viewer", "GET", "/api/v1/hosts/" + string(clerk.id), 200},
		{viewer, "viewer", "POST", approve, 403},
		{viewer, "viewer", "POST", audit, 403},
		{operator, "operator", "POST", approve, 200},
		{operator, "operator", "POST", audit, 200},
		{operator, "operator", "POST", "/api/v1/policies/1/promote", 403},
		{ciso, "ciso", "POST", "/api/v1/policies/1/promote", 404},
		{ciso, "ciso", "POST", "/api/v1/links", 403},
		{cook, "cook", "GET", "/", 200}, // by way of its county's page
		{cook, "cook", "GET", "/api/v1/hosts/" + string(clerk.id), 200},
		{cook, "cook", "GET", "/policies", 404},
		{cook, "cook", "POST", audit, 403},
		{dupage, "dupage", "GET", "/counties/17031", 404},
		{dupage, "dupage", "GET", "/hosts/" + string(clerk.id), 404},
		{dupage, "dupage", "GET", "/api/v1/hosts?county=17031", 404},
	} {
		for _, header := range [][]string{nil, spoofed} {
			if code, body := c.who.ask(c.method, c.path, header...); code != c.want {
				t.Errorf("%s: %s %s with %q: %d, want %d: %s", c.name, c.method, c.path, header, code, c.want, body)
			}
		}
	}
	_, log := viewer.ask("GET", "/api/v1/audit-log")
	for _, want := range []string{`"action":"approve","object":"` + string(plain.id), `"action":"request_audit","object":"` + string(clerk.id)} {
		before, _, ok := strings.Cut(log, want)
		if actor := before[max(0, len(before)-80):]; !ok || strings.Contains(actor, `"actor":"console"`) || strings.Contains(actor, `"actor":""`) {
			t.Errorf("the log does not say who did %s: %s", want, log)
		}
	}

	// One key on two nodes: the second rebinds it, and the first coming back tells.
	w.Tag("copy", "tag:county-17031")
	twin := w.node("copy")
	twin.key, twin.id = clerk.key, clerk.id
	flagged := func(want muster.Clone) {
		t.Helper()
		var h muster.HostStanding
		_, body := viewer.ask("GET", "/api/v1/hosts/"+string(clerk.id))
		must(t, json.Unmarshal([]byte(body), &h))
		if h.ConflictReason != want {
			t.Errorf("flagged %q, want %q", h.ConflictReason, want)
		}
	}
	twin.enroll()
	flagged("")
	clerk.enroll()
	flagged(muster.CloneNode)
}

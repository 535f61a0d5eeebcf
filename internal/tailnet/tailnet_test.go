package tailnet_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/tailnet"
	"github.com/passmuster/muster/internal/tailnet/tailnettest"
)

// serve answers with a name on port 80 of the node, and tells who asks.
func serve(t *testing.T, n *tailnet.Node, name string, peers chan<- muster.Peer) {
	t.Helper()
	l, err := n.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := n.WhoIs(r.Context(), r.RemoteAddr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		if peers != nil {
			peers <- p
		}
		fmt.Fprint(w, name)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
}

// ask gets the root of a node over the tailnet.
func ask(ctx context.Context, n *tailnet.Node, host string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", nil)
	if err != nil {
		return "", err
	}
	res, err := n.Client().Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// eventually wants f to be true before long.
func eventually(t *testing.T, what string, f func(ctx context.Context) bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		ok := f(ctx)
		cancel()
		if ok {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("it never came so: %s", what)
}

func answers(t *testing.T, n *tailnet.Node, host, want string) {
	t.Helper()
	eventually(t, host+" answers "+want, func(ctx context.Context) bool {
		got, err := ask(ctx, n, host)
		return err == nil && got == want
	})
}

// lab is a tailnet with a collector that answers on port 80.
type lab struct {
	*tailnettest.Tailnet
	collector *tailnet.Node
	peers     chan muster.Peer
}

func newLab(t *testing.T) lab {
	t.Helper()
	t.Parallel()
	l := lab{Tailnet: tailnettest.New(t, tailnettest.Options{}), peers: make(chan muster.Peer, 100)}
	l.collector = l.Node(t, tailnet.Options{Hostname: "collector"})
	serve(t, l.collector, "collector", l.peers)
	return l
}

func (l lab) agent(t *testing.T) *tailnet.Node {
	t.Helper()
	return l.Node(t, tailnet.Options{Hostname: "agent", ShieldsUp: true})
}

// peer is who the collector saw last.
func (l lab) peer(t *testing.T) muster.Peer {
	t.Helper()
	p := <-l.peers
	for len(l.peers) > 0 {
		p = <-l.peers
	}
	return p
}

func TestNodesTalk(t *testing.T) {
	l := newLab(t)
	a := l.agent(t)
	answers(t, a, "collector", "collector")
	answers(t, a, tailnettest.FQDN("collector"), "collector")
	address := l.collector.Status(t.Context()).Addresses[0]
	answers(t, a, address, "collector")
	s := a.Status(t.Context())
	if s.State != "running" || s.Name != tailnettest.FQDN("agent") || len(s.Addresses) != 2 || s.LoginURL != "" || len(s.Problems) > 0 {
		t.Errorf("status %+v", s)
	}
}

func TestWhoIs(t *testing.T) {
	l := newLab(t)
	a := l.agent(t)
	sees := func(what string, ok func(p muster.Peer) bool) {
		t.Helper()
		var last muster.Peer
		defer func() {
			if t.Failed() {
				t.Logf("last seen: %+v", last)
			}
		}()
		eventually(t, what, func(ctx context.Context) bool {
			if _, err := ask(ctx, a, "collector"); err != nil {
				return false
			}
			last = l.peer(t)
			return ok(last)
		})
	}
	var node string
	sees("a person's login", func(p muster.Peer) bool {
		node = p.Node
		return p.Node != "" && p.Name == tailnettest.FQDN("agent") && p.Login != "" && len(p.Counties) == 0 && len(p.Roles) == 0 && !p.Local
	})
	l.Tag("agent", "tag:muster-agent", "tag:county-17031", "tag:county-1703", "tag:county-17043", "tag:county-chicago")
	sees("two counties and no login", func(p muster.Peer) bool {
		return p.Node == node && p.Login == "" && slices.Equal(p.Counties, []muster.County{"17031", "17043"})
	})
	l.Tag("agent")
	l.Grant("agent", tailnet.Capability, `{"roles":["viewer","emperor"]}`, `"junk"`, `{"roles":["operator",7,"viewer"]}`)
	sees("two roles", func(p muster.Peer) bool {
		return p.Login != "" && slices.Equal(p.Roles, []muster.Role{muster.RoleViewer, muster.RoleOperator})
	})
	l.Grant("agent", tailnet.Capability, `{"roles":["county:17031","county:1703"]}`, `{"roles":["county:17043"]}`)
	sees("two counties to read", func(p muster.Peer) bool {
		return p.Login != "" && len(p.Counties) == 0 && slices.Equal(p.Roles, []muster.Role{"county:17031", "county:17043"})
	})
	l.Grant("agent", "example.com/cap/other", `{"roles":["ciso"]}`)
	sees("no role by another capability", func(p muster.Peer) bool { return len(p.Roles) == 0 })
	for _, stranger := range []string{"127.0.0.1:80", "100.64.9.9:1", "", "junk"} {
		if p, err := l.collector.WhoIs(t.Context(), stranger); err == nil || p.Node != "" || p.Local {
			t.Errorf("%q is %+v, %v", stranger, p, err)
		}
	}
}

func TestShieldsUpRefuses(t *testing.T) {
	l := newLab(t)
	open := l.Node(t, tailnet.Options{Hostname: "open"})
	serve(t, open, "open", nil)
	a := l.agent(t)
	serve(t, a, "agent", nil)
	answers(t, l.collector, "open", "open")
	answers(t, a, "collector", "collector") // the way there and back is up
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if got, err := ask(ctx, l.collector, "agent"); err == nil {
		t.Errorf("the agent answers %q", got)
	}
}

// TestDialStaysInTheTailnet: a name or an address that no peer has leads nowhere,
// whatever it is outside.
func TestDialStaysInTheTailnet(t *testing.T) {
	l := newLab(t)
	outside := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(outside.Close)
	a := l.agent(t)
	_, port, _ := net.SplitHostPort(outside.Listener.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "100.64.9.9", "agent"} {
		if c, err := a.Dial(t.Context(), "tcp", host+":"+port); err == nil {
			c.Close()
			t.Errorf("%s was reached", host)
		}
	}
}

// TestFiftyNodes: a tailnet of the size of a trial, in which agents know the
// collector alone.
func TestFiftyNodes(t *testing.T) {
	net := tailnettest.New(t, tailnettest.Options{Sees: func(from, to string) bool {
		return from == "collector" || to == "collector"
	}})
	c := net.Node(t, tailnet.Options{Hostname: "collector"})
	serve(t, c, "collector", nil)
	var nodes []*tailnet.Node
	for i := range 50 {
		n, err := net.Open(tailnet.Options{Hostname: fmt.Sprint("agent-", i), Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		answers(t, n, "collector", "collector")
	}
	if c, err := nodes[0].Dial(t.Context(), "tcp", "agent-1:80"); err == nil {
		c.Close()
		t.Error("an agent knows another")
	}
}

// Package tailnettest is a whole tailnet on loopback, for tests and trials: a
// control server, a DERP relay and a STUN server in this process, and what can go
// wrong with each. Nodes speak with each other through the relay alone, so that a
// cut is a cut. It sets switches of Tailscale's library for the whole process and
// is no place for secrets.
package tailnettest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"tailscale.com/derp/derpserver"
	"tailscale.com/envknob"
	"tailscale.com/net/netns"
	"tailscale.com/net/stun"
	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/key"

	"github.com/passmuster/muster/internal/tailnet"
)

// Domain under which every node has its name.
const Domain = "tailnet.test"

// TB is what New and Node need of a test.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
	Context() context.Context
}

// Options of Start.
type Options struct {
	// RequireLogin lets no node in until Approve is called with its login URL.
	RequireLogin bool
	// Sees tells whether one node may know another, both by their host names;
	// nil means that all do.
	Sees func(from, to string) bool
}

// Tailnet on loopback. Its nodes are named by the host name that they ask for.
type Tailnet struct {
	options Options
	control *testcontrol.Server
	front   *httptest.Server // of control
	relay   *httptest.Server // DERP
	derp    *derpserver.Server
	stun    net.PacketConn

	mu          sync.Mutex
	changed     chan struct{} // closed, and made anew, when the map changes
	members     map[string]*member
	authKey     string
	controlDown bool
	derpDown    bool
}

// member is one computer of the tailnet, with its own way to the servers.
type member struct {
	name          string // in the tailnet, without the domain
	control, derp *door
	cut           bool
	streams       int
	key           key.NodePublic // that it came with last
	expired       key.NodePublic // this one lets it in no more
	tags          []string
	grants        tailcfg.PeerCapMap
}

// New starts a tailnet that ends with the test.
func New(tb TB, o Options) *Tailnet {
	tb.Helper()
	t, err := Start(o)
	if err != nil {
		tb.Fatalf("start a tailnet on loopback: %v", err)
	}
	tb.Cleanup(t.Close)
	return t
}

// Start a tailnet. Close it after its nodes.
func Start(o Options) (*Tailnet, error) {
	netns.SetEnabled(false)
	envknob.Setenv("TS_DISABLE_PORTMAPPER", "true")
	envknob.Setenv("TS_DEBUG_NEVER_DIRECT_UDP", "true")
	binding, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	discard := func(string, ...any) {}
	t := &Tailnet{
		options: o,
		stun:    binding,
		control: &testcontrol.Server{Logf: discard, RequireAuth: o.RequireLogin, MagicDNSDomain: Domain},
		derp:    derpserver.New(key.NewNode(), discard),
		changed: make(chan struct{}),
		members: map[string]*member{},
	}
	t.control.AltMapStream = t.serveMap
	t.control.MaybeRateLimitRegister = t.beforeRegister
	t.front = httptest.NewServer(t.control)
	t.control.ExplicitBaseURL = t.front.URL
	t.relay = httptest.NewUnstartedServer(derpserver.Handler(t.derp))
	t.relay.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){} // DERP wants HTTP/1
	t.relay.Config.ErrorLog = log.New(io.Discard, "", 0)                                   // a cut is no news here
	t.relay.StartTLS()
	go t.serveSTUN()
	return t, nil
}

// Close ends every server.
func (t *Tailnet) Close() {
	t.mu.Lock()
	for _, m := range t.members {
		m.control.close()
		m.derp.close()
	}
	t.mu.Unlock()
	for _, s := range []*httptest.Server{t.front, t.relay} {
		s.CloseClientConnections()
		s.Close()
	}
	t.derp.Close()
	t.stun.Close()
}

func (t *Tailnet) serveSTUN() {
	buf := make([]byte, 1500)
	for {
		n, from, err := t.stun.ReadFrom(buf)
		if err != nil {
			return
		}
		if id, err := stun.ParseBindingRequest(buf[:n]); err == nil {
			t.stun.WriteTo(stun.Response(id, from.(*net.UDPAddr).AddrPort()), from)
		}
	}
}

// Node opens a node and waits until it has joined; it closes with the test. Dir
// may be empty.
func (t *Tailnet) Node(tb TB, o tailnet.Options) *tailnet.Node {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	n, err := t.Open(o)
	if err != nil {
		tb.Fatalf("open the node %s: %v", o.Hostname, err)
	}
	tb.Cleanup(func() { n.Close() })
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	if err := n.Up(ctx); err != nil {
		tb.Fatalf("the node %s: %v: %+v", o.Hostname, err, n.Status(tb.Context()))
	}
	return n
}

// Open starts a node of this tailnet and does not wait for it. Close it before
// the tailnet.
func (t *Tailnet) Open(o tailnet.Options) (*tailnet.Node, error) {
	o.ControlURL = t.ControlURL(o.Hostname)
	return tailnet.Start(o)
}

// ControlURL is the way to the control server of the node with this host name.
func (t *Tailnet) ControlURL(hostname string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return "http://" + t.memberLocked(hostname).control.addr()
}

func (t *Tailnet) memberLocked(hostname string) *member {
	m := t.members[hostname]
	if m == nil {
		m = &member{
			name:    hostname,
			control: newDoor(t.front.Listener.Addr().String()),
			derp:    newDoor(t.relay.Listener.Addr().String()),
		}
		t.members[hostname] = m
		t.setDoorsLocked(m)
	}
	return m
}

// change does f to a node's entry and tells every node of it.
func (t *Tailnet) change(hostname string, f func(*member)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(t.memberLocked(hostname))
	t.tellLocked()
}

func (t *Tailnet) tellLocked() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// Tag gives a node exactly these tags, such as "tag:county-17031".
func (t *Tailnet) Tag(hostname string, tags ...string) {
	t.change(hostname, func(m *member) { m.tags = tags })
}

// Grant gives a node a capability at every other node, with JSON values.
func (t *Tailnet) Grant(hostname, capability string, values ...string) {
	t.change(hostname, func(m *member) {
		list := []tailcfg.RawMessage{}
		for _, v := range values {
			list = append(list, tailcfg.RawMessage(v))
		}
		m.grants = tailcfg.PeerCapMap{tailcfg.PeerCapability(capability): list}
	})
}

// Rename gives a node another name in the tailnet than the one it asked for.
func (t *Tailnet) Rename(hostname, name string) {
	t.change(hostname, func(m *member) { m.name = name })
}

// ExpireKey ends a node's key; it may come back with a new one.
func (t *Tailnet) ExpireKey(hostname string) {
	t.change(hostname, func(m *member) { m.expired = m.key })
}

// RequireKey lets nobody sign in without this auth key; "" lets everybody in.
func (t *Tailnet) RequireKey(authKey string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.authKey = authKey
}

// Approve lets the node in that was given the login URL, as a person would.
func (t *Tailnet) Approve(loginURL string) bool { return t.control.CompleteAuth(loginURL) }

// Cut takes a node off every network, or plugs it in again.
func (t *Tailnet) Cut(hostname string, cut bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.memberLocked(hostname)
	m.cut = cut
	t.setDoorsLocked(m)
}

// StopControl and StartControl are an outage of the control server.
func (t *Tailnet) StopControl()  { t.outage(&t.controlDown, true) }
func (t *Tailnet) StartControl() { t.outage(&t.controlDown, false) }

// StopDERP and StartDERP are an outage of the relay, and so of all traffic.
func (t *Tailnet) StopDERP()  { t.outage(&t.derpDown, true) }
func (t *Tailnet) StartDERP() { t.outage(&t.derpDown, false) }

func (t *Tailnet) outage(of *bool, down bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*of = down
	for _, m := range t.members {
		t.setDoorsLocked(m)
	}
}

func (t *Tailnet) setDoorsLocked(m *member) {
	m.control.set(!m.cut && !t.controlDown)
	m.derp.set(!m.cut && !t.derpDown)
}

func (t *Tailnet) derpMapLocked(m *member) *tailcfg.DERPMap {
	return &tailcfg.DERPMap{Regions: map[int]*tailcfg.DERPRegion{1: {
		RegionID: 1, RegionCode: "test",
		Nodes: []*tailcfg.DERPNode{{
			Name: "t1", RegionID: 1, HostName: "127.0.0.1", IPv4: "127.0.0.1", IPv6: "none",
			DERPPort: m.derp.port(), InsecureForTests: true,
			STUNPort: t.stun.LocalAddr().(*net.UDPAddr).Port, STUNTestIP: "127.0.0.1",
		}},
	}}}
}

// FQDN is a node's name in the tailnet.
func FQDN(name string) string { return strings.ToLower(fmt.Sprintf("%s.%s", name, Domain)) }

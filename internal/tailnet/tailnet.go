// Package tailnet is the one place that knows Tailscale: a node of a tailnet
// inside this process (tsnet), and who is at the other end of a connection.
//
// A node uploads no logs, keeps its state durably in one folder, and never gives
// up: where it may not join or its key has expired, Status says so and what to do
// about it, and a new auth key is picked up without a restart.
package tailnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tailscale.com/client/local"
	"tailscale.com/ipn"
	"tailscale.com/logtail"
	"tailscale.com/tsnet"

	"github.com/passmuster/muster/internal/durable"
)

// DialTimeout bounds one connection of Client, with the wait for the tailnet.
const DialTimeout = 30 * time.Second

// RequestTimeout bounds one request of Client: a full batch over a slow line.
const RequestTimeout = 5 * time.Minute

// Options of Start. Dir and Hostname are required.
type Options struct {
	// Dir keeps the node's key and state, mode 0700, across runs.
	Dir string
	// Hostname that the node asks for.
	Hostname string
	// ControlURL of the tailnet; "" means Tailscale's own.
	ControlURL string
	// AuthKeyFile holds the key that lets the node in. It is read where the node
	// has no state or must sign in again, also when it appears later, and deleted
	// once the node has joined. Where there is no such file, the environment
	// variable MUSTER_AUTH_KEY may have the key; Start takes it out of there.
	AuthKeyFile string
	// ShieldsUp refuses every connection from the tailnet: for agents.
	ShieldsUp bool
	// Logger; nil discards.
	Logger *slog.Logger
}

// Node is one node of a tailnet. It joins in the background and keeps trying.
// Its methods may be called by several goroutines at once.
type Node struct {
	log       *slog.Logger
	server    *tsnet.Server
	local     *local.Client
	client    *http.Client
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	tasks     sync.WaitGroup
	closeOnce sync.Once
	closeErr  error

	mu      sync.Mutex
	state   ipn.State
	joined  time.Time     // state became running
	expired bool          // the last login ended by expiry, until the next
	changed chan struct{} // closed, and made anew, when state changes
	key     authKey
	// What people should know about the key file and about Dir; "" where all is well.
	keyProblem, dirProblem string
}

// Start returns at once; the node joins in the background. Close it. An error is
// about Dir: it cannot be made, read or written.
func Start(o Options) (*Node, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ControlURL == "" {
		o.ControlURL = ipn.DefaultControlURL // or tsnet would ask the environment
	}
	if err := makeDir(o.Dir); err != nil {
		return nil, fmt.Errorf("tailnet state: %w", err)
	}
	kept, setAside, err := openStore(filepath.Join(o.Dir, "node.json"))
	if err != nil {
		return nil, fmt.Errorf("tailnet state: %w", err)
	}
	// A switch inside Tailscale's library; it turns off the upload and nothing else.
	logtail.Disable()
	n := &Node{
		log:     o.Logger,
		changed: make(chan struct{}),
		key:     authKey{file: o.AuthKeyFile, env: takeEnvKey()},
	}
	if setAside != "" {
		n.dirProblem = "the node's state could not be read and is set aside as " + setAside + ": the node needs an auth key again"
		n.log.Warn("tailnet state set aside", "file", setAside)
	}
	logf := func(format string, args ...any) {
		if n.log.Enabled(context.Background(), slog.LevelDebug) {
			n.log.Debug("tailscale", "line", fmt.Sprintf(format, args...))
		}
	}
	n.server = &tsnet.Server{
		Dir: o.Dir, Store: kept, Hostname: o.Hostname, ControlURL: o.ControlURL,
		Logf: logf, UserLogf: logf,
	}
	if kept.empty() {
		n.server.AuthKey = n.nextKeyLocked()
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if err := n.start(o.ShieldsUp); err != nil {
		n.cancel()
		return nil, fmt.Errorf("start the tailnet node: %w", err)
	}
	n.client = &http.Client{Timeout: RequestTimeout, Transport: &http.Transport{
		DialContext:           n.dialBounded,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   2,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   20 * time.Second,
		ResponseHeaderTimeout: RequestTimeout,
	}}
	n.tasks.Go(n.watch)
	n.tasks.Go(n.keepKey)
	return n, nil
}

func (n *Node) start(shieldsUp bool) error {
	err := n.server.Start()
	if err == nil {
		n.local, err = n.server.LocalClient()
	}
	if err != nil {
		return err // tsnet has closed what it had opened
	}
	// Nobody can update the library in here by itself, so it shall not ask for it.
	_, err = n.local.EditPrefs(n.ctx, &ipn.MaskedPrefs{
		Prefs:         ipn.Prefs{ShieldsUp: shieldsUp},
		ShieldsUpSet:  true,
		AutoUpdateSet: ipn.AutoUpdatePrefsMask{CheckSet: true},
	})
	if err != nil {
		return errors.Join(err, n.server.Close())
	}
	return nil
}

// makeDir makes the folder of the node's key private to this user.
func makeDir(dir string) error {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// Up waits until the node has joined, or ctx is done; then the error says where
// the node stands.
func (n *Node) Up(ctx context.Context) error {
	for {
		n.mu.Lock()
		state, changed := n.stateLocked(), n.changed
		n.mu.Unlock()
		if state == stateRunning {
			return nil
		}
		select {
		case <-changed:
		case <-n.ctx.Done():
			return fmt.Errorf("join the tailnet: %w", net.ErrClosed)
		case <-ctx.Done():
			return fmt.Errorf("join the tailnet: the node is in state %s: %w", state, ctx.Err())
		}
	}
}

// Dial connects to a node of the tailnet by its name, full or its first part, or
// by its address, once this node has joined. It never leaves the tailnet, whatever
// a name means elsewhere.
func (n *Node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := n.Up(ctx); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial over the tailnet: %w", err)
	}
	ip, err := n.resolve(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("dial over the tailnet: %w", err)
	}
	return n.server.Dial(ctx, network, net.JoinHostPort(ip.String(), port))
}

func (n *Node) dialBounded(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	return n.Dial(ctx, network, address)
}

// resolve finds the address of a peer. Tailscale's own dialer would hand what it
// does not know to the network around.
func (n *Node) resolve(ctx context.Context, host string) (netip.Addr, error) {
	st, err := n.local.Status(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	host = strings.TrimSuffix(host, ".")
	ip, _ := netip.ParseAddr(host)
	found := netip.Addr{}
	for _, p := range st.Peer {
		name := strings.TrimSuffix(p.DNSName, ".")
		first, _, _ := strings.Cut(name, ".")
		for _, a := range p.TailscaleIPs {
			if a == ip {
				return a, nil
			}
		}
		if len(p.TailscaleIPs) > 0 && !p.Expired && (strings.EqualFold(host, name) || strings.EqualFold(host, first)) && (!found.IsValid() || p.Online) {
			found = p.TailscaleIPs[0]
		}
	}
	if !found.IsValid() {
		return found, fmt.Errorf("no node of the tailnet that this one may see is called %q", host)
	}
	return found, nil
}

// Client speaks HTTP over the tailnet only; it uses no proxy of the environment.
func (n *Node) Client() *http.Client { return n.client }

// Listen takes connections from the tailnet, for example on ":80".
func (n *Node) Listen(network, address string) (net.Listener, error) {
	l, err := n.server.Listen(network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on the tailnet: %w", err)
	}
	return l, nil
}

// Close leaves the tailnet's network; the state stays in Dir. It may be called
// more than once.
func (n *Node) Close() error {
	n.closeOnce.Do(func() {
		n.cancel()
		n.client.CloseIdleConnections()
		n.closeErr = n.server.Close()
		n.tasks.Wait()
	})
	return n.closeErr
}

// Package collector is what runs at the state: it wires ingest, store and web
// into one server.
//
// The host API and the dashboard share one address on this computer. Its state
// is one folder: muster.db (with -wal and -shm beside it) and keys/. The folder
// may be copied while nothing runs; keys/ must stay secret and must not be
// lost, because hosts trust the receipt key in it.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/internal/durable"
)

// Defaults of Options.
const (
	DefaultListen = "127.0.0.1:8443"
	// DefaultReadTimeout bounds how long a request may take to arrive.
	DefaultReadTimeout = time.Minute
)

const (
	maxConnections = 1024
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	// stopTimeout bounds how long requests may take to end when the collector stops.
	stopTimeout = 15 * time.Second
	// reloadEvery is how soon a policy that another process published shows here.
	reloadEvery = 15 * time.Second
)

// Options of Open. Data is required, and State for Run.
type Options struct {
	// Data is the state folder; it is made where it is not there.
	Data string
	// State is the two-digit FIPS code of the state whose hosts are let in.
	State string
	// Name for people, such as "State of Example".
	Name string
	// Listen is the address of Run; "" means DefaultListen. It must be this
	// computer: the host API listens on a tailnet or on loopback only.
	Listen string
	// Demo marks every host that enrolls as invented.
	Demo bool
	// ReadTimeout bounds how long a request may take to arrive; 0 means DefaultReadTimeout.
	ReadTimeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger; nil discards.
	Logger *slog.Logger
}

// Collector is an open state folder.
type Collector struct {
	Options
	store store.Store
	keys  *keys
	view  atomic.Pointer[view]
	doors *doors
	// offered tells the running host API that releases or rings changed.
	offered func()
}

// Open opens the state folder and makes its keys where there are none. Several
// processes may have it open; one may Run.
func Open(ctx context.Context, o Options) (*Collector, error) {
	if o.Data == "" {
		return nil, errors.New("collector: options: a data folder is required")
	}
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = DefaultReadTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := durable.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	k, err := openKeys(filepath.Join(o.Data, "keys"))
	if err != nil {
		return nil, err
	}
	s, err := sqlite.Open(ctx, filepath.Join(o.Data, "muster.db"), o.Now)
	if err != nil {
		return nil, err
	}
	return &Collector{Options: o, store: s, keys: k, doors: newDoors(k.apiToken, o.Now), offered: func() {}}, nil
}

// Close closes the folder. Call it after Run has returned.
func (c *Collector) Close() error { return c.store.Close() }

// Run serves until ctx ends, then lets requests end and commits what they
// brought. ready learns the address of the dashboard with a link that opens it
// once.
func (c *Collector) Run(ctx context.Context, ready func(link string)) error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil || !muster.IsLoopback(host) {
		return fmt.Errorf("listen on %q: the host API listens on this computer only, for example on %s", c.Listen, DefaultListen)
	}
	if len(c.State) != 2 {
		return fmt.Errorf("state %q is not a two-digit FIPS code, for example 17", c.State)
	}
	if err := c.reload(ctx); err != nil {
		return err
	}
	in, err := ingest.New(ingest.Options{
		Store: c.store, Key: c.keys.receipt, State: c.State, Demo: c.Demo,
		Approve:  ingest.LoopbackToken(c.keys.hostToken),
		Severity: func(control string) muster.Severity { return c.view.Load().severity(control) },
		Now:      c.Now, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	c.offered = in.Forget
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	server := &http.Server{
		Handler:           c.handler(in),
		ReadHeaderTimeout: min(headerTimeout, c.ReadTimeout),
		ReadTimeout:       c.ReadTimeout,
		WriteTimeout:      2 * c.ReadTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
	if err := c.log(ctx, "console", "start", muster.Version); err != nil {
		return errors.Join(err, l.Close())
	}

	// Three parts, stopped in the order listener, ingest, reload.
	committing, stopIngest := context.WithCancel(context.WithoutCancel(ctx))
	defer stopIngest()
	ended := make(chan error, 2)
	go func() { ended <- in.Run(committing) }()
	go func() { ended <- server.Serve(newLimit(l, maxConnections)) }()
	c.Logger.Info("collector started", "address", l.Addr().String(), "version", muster.Version)
	if ready != nil {
		ready("http://" + l.Addr().String() + "/login?token=" + c.doors.link())
	}
	err = c.watch(ctx, ended)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	down := server.Shutdown(bounded)
	if errors.Is(down, context.DeadlineExceeded) {
		c.Logger.Warn("requests cut off that did not end in time", "seconds", stopTimeout.Seconds())
		down = server.Close()
	}
	stopIngest()
	for range 2 {
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	c.Logger.Info("collector stopped")
	return errors.Join(err, down)
}

// watch takes up new policies until ctx ends or one of the parts does.
func (c *Collector) watch(ctx context.Context, ended chan error) error {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := c.reload(ctx); err != nil && ctx.Err() == nil {
				c.Logger.Error("policy not read", "error", err)
			}
		case err := <-ended: // neither ends by itself
			ended <- nil
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Collector) log(ctx context.Context, actor, action, object string) error {
	return c.store.Log(ctx, muster.LogEntry{At: c.Now(), Actor: actor, Action: action, Object: object})
}

// Pending are the hosts that wait for approval, the longest waiting first.
func (c *Collector) Pending(ctx context.Context) ([]muster.HostStanding, error) {
	return c.store.Pending(ctx)
}

// Hosts that are active, by id, after the one named, at most limit.
func (c *Collector) Hosts(ctx context.Context, after muster.HostID, limit int) ([]muster.HostStanding, error) {
	return c.store.Hosts(ctx, after, limit)
}

// Approve makes a pending host active. A host that never enrolled is an error
// that is fs.ErrNotExist.
func (c *Collector) Approve(ctx context.Context, id muster.HostID) error {
	return c.store.Approve(ctx, id, "console", c.Now())
}

// view is what depends on the policy in force.
type view struct {
	key      string // of inForce
	controls []muster.Control
	byID     map[string]muster.Severity
	pages    http.Handler
}

// severity of a control; one that the policy does not know counts as critical.
func (v *view) severity(control string) muster.Severity {
	if s, ok := v.byID[control]; ok {
		return s
	}
	return muster.SeverityCritical
}

// reload takes up a policy that was published since.
func (c *Collector) reload(ctx context.Context) error {
	key, force, err := c.inForce(ctx)
	if err != nil {
		return err
	}
	if force == nil {
		return nil
	}
	v := &view{key: key, controls: force.controls, byID: make(map[string]muster.Severity, len(force.controls))}
	for _, k := range force.controls {
		v.byID[k.ID] = k.Severity
	}
	v.pages, err = web.New(web.Options{Reader: reader{c.store}, Catalogue: force.controls, Facts: force.facts, Name: c.Name, Now: c.Now, Logger: c.Logger})
	if err != nil {
		return err
	}
	c.view.Store(v)
	return nil
}

// limit accepts at most so many connections at once; the next ones wait.
type limit struct {
	net.Listener
	free   chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimit(l net.Listener, n int) *limit {
	return &limit{Listener: l, free: make(chan struct{}, n), closed: make(chan struct{})}
}

func (l *limit) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limited{Conn: c, limit: l}, nil
}

// Close ends an Accept also where no place is free.
func (l *limit) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limited struct {
	net.Conn
	limit  *limit
	closed atomic.Bool
}

func (c *limited) Close() error {
	err := c.Conn.Close()
	if !c.closed.Swap(true) {
		<-c.limit.free
	}
	return err
}

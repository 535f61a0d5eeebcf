// Package collector is what runs at the state: it wires ingest, store and web
// into one server.
//
// The host API and the dashboard share one address on this computer, and one in
// the tailnet where there is one. Its state is one folder: muster.db (with -wal
// and -shm beside it), keys/ and tailnet/. The folder may be copied while nothing
// runs; keys/ must stay secret and must not be lost, because hosts trust the
// receipt key in it.
package collector

import (
	"cmp"
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
	// maxConnections are open at once on each way in; an idle one costs some 20 KiB,
	// and ends soon, because hosts are in contact for a moment every few minutes.
	maxConnections = 4096
	// maxPerAddress of them are one node's: an uplink has one, a browser some six.
	maxPerAddress = 32
	headerTimeout = 10 * time.Second
	idleTimeout   = 15 * time.Second
	// patience lets a whole state reconnect at once: what waits is bounded by
	// maxConnections, and waiting a little is sooner than to be asked again later.
	patience = 30 * time.Second
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
	// Tailnet is the way in for the counties' hosts, on port 80, and for people
	// whom the tailnet's grants give a role; nil for none. Whoever made it closes it.
	Tailnet Tailnet
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
	// couriers is the running host API.
	couriers couriers
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
		Identify: c.identify(),
		Unseal:   c.keys.age, Name: c.Name, Patience: patience,
		Severity: func(control string) muster.Severity { return c.view.Load().severity(control) },
		Now:      c.Now, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	c.couriers = in
	c.offered = func() {
		in.Forget()
		if err := c.reload(context.WithoutCancel(ctx)); err != nil {
			c.Logger.Error("policy not read", "error", err)
		}
	}
	ways, err := c.listen()
	if err != nil {
		return err
	}
	if err := c.log(ctx, "console", "start", muster.Version); err != nil {
		for _, l := range ways {
			err = errors.Join(err, l.Close())
		}
		return err
	}

	// Three parts, stopped in the order listeners, ingest, reload.
	committing, stopIngest := context.WithCancel(context.WithoutCancel(ctx))
	defer stopIngest()
	ended := make(chan error, 1+len(ways))
	go func() { ended <- in.Run(committing) }()
	handler := c.handler(in)
	var servers []*http.Server
	for i, l := range ways {
		each := 0
		if i > 0 {
			each = maxPerAddress
		}
		bounded := newLimit(l, maxConnections, each)
		server := c.server(bounded.handler(handler), i > 0)
		servers = append(servers, server)
		go func() { ended <- server.Serve(bounded) }()
	}
	address := ways[0].Addr().String()
	c.Logger.Info("collector started", "address", address, "tailnet", len(ways) > 1, "version", muster.Version)
	if ready != nil {
		ready("http://" + address + "/login?token=" + c.doors.link())
	}
	err = c.watch(ctx, ended)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	for _, server := range servers {
		down := server.Shutdown(bounded)
		if errors.Is(down, context.DeadlineExceeded) {
			c.Logger.Warn("requests cut off that did not end in time", "seconds", stopTimeout.Seconds())
			down = server.Close()
		}
		err = errors.Join(err, down)
	}
	stopIngest()
	for range cap(ended) {
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	c.Logger.Info("collector stopped")
	return err
}

// listen opens this computer's way in, and the tailnet's second.
func (c *Collector) listen() ([]net.Listener, error) {
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	if c.Tailnet == nil {
		return []net.Listener{l}, nil
	}
	far, err := c.Tailnet.Listen("tcp", ":80")
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return []net.Listener{l, far}, nil
}

func (c *Collector) server(handler http.Handler, tailnet bool) *http.Server {
	base := context.Background()
	if tailnet {
		base = context.WithValue(base, viaTailnet, true)
	}
	return &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: min(headerTimeout, c.ReadTimeout),
		ReadTimeout:       c.ReadTimeout,
		WriteTimeout:      2 * c.ReadTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
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

// limit accepts at most so many connections at once; the next ones wait. What one
// address has too many of is closed.
type limit struct {
	net.Listener
	free   chan struct{}
	crowd  *ingest.Crowd
	closed chan struct{}
	once   sync.Once
}

// newLimit lets in n at once, each of them of one address; 0 means as many as of all.
func newLimit(l net.Listener, n, each int) *limit {
	return &limit{Listener: l, free: make(chan struct{}, n), crowd: ingest.NewCrowd(cmp.Or(each, n)), closed: make(chan struct{})}
}

func (l *limit) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.free
			return nil, err
		}
		from, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		if l.crowd.Enter(from) {
			return &limited{Conn: c, limit: l, from: from}, nil
		}
		c.Close()
	}
}

// handler ends each connection after its answer while more than half of the places
// are taken: hosts that only stay connected would keep the next ones out.
func (l *limit) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(l.free) > cap(l.free)/2 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// Close ends an Accept also where no place is free.
func (l *limit) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limited struct {
	net.Conn
	limit  *limit
	from   string
	closed atomic.Bool
}

func (c *limited) Close() error {
	err := c.Conn.Close()
	if !c.closed.Swap(true) {
		c.limit.crowd.Leave(c.from)
		<-c.limit.free
	}
	return err
}

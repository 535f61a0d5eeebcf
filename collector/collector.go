// Package collector is what runs at the state: it wires ingest, store and web
// into one server.
//
// The host API and the dashboard share one address on this computer, and one in
// the tailnet where there is one. Its state is one folder: keys/, tailnet/ and, where
// no PostgreSQL is named, muster.db (with -wal and -shm beside it). keys/ must stay
// secret and must not be lost, because hosts trust the receipt keys in it. Several
// collectors before one PostgreSQL need the same keys/.
package collector

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/hooks"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/postgres"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/internal/durable"
)

// Defaults of Options.
const (
	DefaultListen = "127.0.0.1:8443"
	// DefaultReadTimeout bounds how long a request may take to arrive.
	DefaultReadTimeout = time.Minute
	// DefaultEvidence is how long signed reports are kept.
	DefaultEvidence = 90 * 24 * time.Hour
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
	// stopTimeout bounds how long requests may take to end when the collector stops,
	// and then how long ingest, and jobs, may.
	stopTimeout = 15 * time.Second
)

// Options of Open. Data is required, and State for Run.
type Options struct {
	// Data is the state folder; it is made where it is not there.
	Data string
	// Database is the URL of a PostgreSQL, postgres://…; "" means muster.db in Data.
	Database string
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
	// TLS is a way in for people in the state's own network, and OIDC tells who they
	// are; nil for none.
	TLS  *door.TLS
	OIDC *door.OIDC
	// SessionIdle is how long a session of a person waits for the next request, and
	// SessionLife how long it lasts at most; 0 means door.DefaultIdle and door.DefaultLife.
	SessionIdle, SessionLife time.Duration
	// StaleAfter is how long a host may be silent.
	StaleAfter muster.Silences
	// Evidence is how long signed reports are kept; 0 means DefaultEvidence.
	Evidence time.Duration
	// Hooks are told of events.
	Hooks []hooks.Hook
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
	store    store.Store
	keys     *keys
	view     atomic.Pointer[view]
	live     *web.Live
	door     *door.Door // made by Run, which knows every way in
	history  history
	stats    ingest.Stats
	commits  commits
	compared compared
	// offered tells the running host API that releases or rings changed.
	offered func()
	// couriers is the running host API.
	couriers couriers
}

// Open opens the state folder and makes its keys where there are none. Several
// processes may have it open; one may Run, or with a PostgreSQL several.
func Open(ctx context.Context, o Options) (*Collector, error) {
	if o.Data == "" {
		return nil, errors.New("collector: options: a data folder is required")
	}
	o = o.withDefaults()
	if err := durable.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	k, err := openKeys(o.keysFolder())
	if err != nil {
		return nil, err
	}
	s, err := o.openStore(ctx)
	if err != nil {
		return nil, err
	}
	return &Collector{Options: o, store: s, keys: k, live: web.NewLive(s.Watch), commits: newCommits(), offered: func() {}}, nil
}

func (o Options) withDefaults() Options {
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = DefaultReadTimeout
	}
	if o.Evidence <= 0 {
		o.Evidence = DefaultEvidence
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) keysFolder() string { return filepath.Join(o.Data, "keys") }

// openStore opens the database that the options name.
func (o Options) openStore(ctx context.Context) (store.Store, error) {
	so := store.Options{Now: o.Now, StaleAfter: o.StaleAfter}
	switch {
	case o.Database == "":
		return sqlite.Open(ctx, filepath.Join(o.Data, "muster.db"), so)
	case strings.HasPrefix(o.Database, "postgres://"), strings.HasPrefix(o.Database, "postgresql://"):
		return postgres.Open(ctx, o.Database, so)
	}
	return nil, errors.New("the database is not an address that begins with postgres://; leave it out for a file in the data folder")
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
	sender, err := c.newSender()
	if err != nil {
		return err
	}
	if c.door, err = c.openDoor(); err != nil {
		return err
	}
	if err := c.reload(ctx); err != nil {
		return err
	}
	c.stats.Committed = c.commits.note
	in, err := ingest.New(ingest.Options{
		Store: c.store, Key: c.keys.receipt(), State: c.State, Demo: c.Demo,
		Identify: c.identify(),
		Unseal:   c.keys.age, Name: c.Name, Patience: patience,
		Severity: func(control string) muster.Severity { return c.view.Load().severity(control) },
		Stats:    &c.stats, Now: c.Now, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	c.couriers = in
	c.offered = func() { c.refresh(context.WithoutCancel(ctx), in.Forget) }
	handler, err := c.handler(in)
	if err != nil {
		return err
	}
	link, err := c.door.Link(ctx)
	if err != nil {
		return fmt.Errorf("make a link to the dashboard: %w", err)
	}
	ways, err := c.listen()
	if err != nil {
		return err
	}
	if err := c.log(ctx, "console", "start", muster.Version); err != nil {
		for _, w := range ways {
			err = errors.Join(err, w.Close())
		}
		return err
	}
	err = c.keys.known(ctx, c.store)
	if errors.Is(err, fs.ErrNotExist) {
		err = c.announceKeys(ctx)
	}
	if err != nil {
		c.Logger.Error("receipt key not known", "error", err)
	}

	// Stopped in the reverse order: what the last requests brought is committed.
	run := newParts(ctx)
	run.start("ingest", stopTimeout, in.Run)
	run.start("jobs", stopTimeout, func(ctx context.Context) error { return c.runJobs(ctx, sender) })
	run.start("live views", stopTimeout, func(ctx context.Context) error { return c.follow(ctx, in.Forget) })
	for _, w := range ways {
		c.serve(run, w, handler)
	}
	run.start("live pages", stopTimeout, c.live.Run) // ends first, or requests would not
	address := ways[0].Addr().String()
	c.Logger.Info("collector started", "address", address, "ways", len(ways), "version", muster.Version)
	if ready != nil {
		ready("http://" + address + link)
	}
	run.wait(ctx)
	err = run.Stop()
	c.Logger.Info("collector stopped")
	return err
}

// way in.
type way struct {
	net.Listener
	via door.Way
	tls *tls.Config
}

// listen opens this computer's way in, the tailnet's and the one with TLS.
func (c *Collector) listen() (ways []way, err error) {
	defer func() {
		for _, w := range ways {
			if err != nil {
				err = errors.Join(err, w.Close())
			}
		}
	}()
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	ways = append(ways, way{l, door.ViaLoopback, nil})
	if c.Tailnet != nil {
		if l, err = c.Tailnet.Listen("tcp", ":80"); err != nil {
			return ways, err
		}
		ways = append(ways, way{l, door.ViaTailnet, nil})
	}
	if c.TLS != nil {
		config, err := c.TLS.Config(c.Logger)
		if err != nil {
			return ways, err
		}
		if l, err = net.Listen("tcp", c.TLS.Listen); err != nil {
			return ways, fmt.Errorf("listen with TLS on %s: %w", c.TLS.Listen, err)
		}
		ways = append(ways, way{l, door.ViaTLS, config})
	}
	return ways, nil
}

// serve answers on a way in.
func (c *Collector) serve(run *parts, w way, handler http.Handler) {
	each := maxPerAddress
	if w.via == door.ViaLoopback {
		each = 0
	}
	bounded := newLimit(w, maxConnections, each)
	server := c.server(bounded.handler(handler), w)
	serve := server.Serve
	if w.tls != nil {
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	name := "requests on " + w.Addr().String()
	run.begin(name, 2*stopTimeout, func() error {
		if err := serve(bounded); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		err := server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			c.Logger.Warn("requests cut off that did not end in time", "seconds", stopTimeout.Seconds())
			err = server.Close()
		}
		return err
	})
}

func (c *Collector) server(handler http.Handler, w way) *http.Server {
	base := w.via.Context(context.Background())
	return &http.Server{
		Handler:           handler,
		TLSConfig:         w.tls,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: min(headerTimeout, c.ReadTimeout),
		ReadTimeout:       c.ReadTimeout,
		WriteTimeout:      2 * c.ReadTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
	}
}

func (c *Collector) log(ctx context.Context, actor, action, object string) error {
	return c.store.Log(ctx, muster.LogEntry{At: c.Now(), Actor: actor, Action: action, Object: object})
}

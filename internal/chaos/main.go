// Command chaos runs several collectors before one PostgreSQL and lets everything go
// wrong under load: one collector is killed and started again every few seconds, and
// the database is stopped or crashed and started again many times, while agents bring
// signed reports to whichever collector answers, by the real uplink. At the end every
// report that has a receipt must be in the database exactly once, as its host signed
// it, and every other one still be with its agent. Run it from the module's root, as
// `make chaos` does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/collector/store/postgres/pgtest"
	"github.com/passmuster/muster/internal/program"
)

const (
	county = muster.County("56021")
	// settleTimeout bounds the contacts after the last outage.
	settleTimeout = 5 * time.Minute
)

type options struct {
	bin, dir         string
	seed             uint64
	minutes          float64
	agents, replicas int
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "folder with the built programs")
	flag.StringVar(&o.dir, "dir", "", "empty folder for all state, kept; default one that is removed")
	flag.Uint64Var(&o.seed, "seed", 1, "decides what is killed, and when")
	flag.Float64Var(&o.minutes, "minutes", 10, "how long things go wrong")
	flag.IntVar(&o.agents, "agents", 50, "hosts")
	flag.IntVar(&o.replicas, "replicas", 2, "collectors, at least 2")
	short := flag.Bool("short", false, "one minute")
	flag.Parse()
	if *short {
		o.minutes = 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos: error:", err)
		os.Exit(1)
	}
}

// chaos is the state that goes through it.
type chaos struct {
	options
	log      *slog.Logger
	server   *pgtest.Server
	dsn      string
	site     *muster.Site
	recorded *agent.Result
	replicas []*replica
	hosts    []*host

	kills, stops, crashes atomic.Int64
}

func run(ctx context.Context, w io.Writer, o options) (err error) {
	if o.agents < 1 || o.replicas < 2 || o.minutes <= 0 {
		return errors.New("too small: at least 1 agent and 2 replicas")
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "muster-chaos-"); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(o.dir)
			}
		}()
	}
	// PostgreSQL refuses to be root, and must reach its folder.
	if err := os.Chmod(o.dir, 0o711); err != nil {
		return err
	}
	logFile, err := os.Create(filepath.Join(o.dir, "chaos.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	c := &chaos{options: o, log: slog.New(slog.NewTextHandler(logFile, nil))}
	defer func() {
		if err = errors.Join(err, c.close()); err != nil {
			err = fmt.Errorf("%w (see %s)", err, o.dir)
		}
	}()
	if err := c.setUp(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := c.rage(ctx); err != nil {
		return err
	}
	early, err := c.tally(ctx)
	if err != nil {
		return err
	}
	if err := c.settle(ctx); err != nil {
		return err
	}
	t, err := c.tally(ctx)
	if err != nil {
		return err
	}
	t.wrong = append(early.wrong, t.wrong...)
	return c.print(w, began, early, t)
}

// setUp starts the database, the collectors and one host for each agent.
func (c *chaos) setUp(ctx context.Context) (err error) {
	folder := filepath.Join(c.dir, "postgres")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	if c.server, err = pgtest.Open(folder); err != nil {
		return err
	}
	if c.dsn, err = c.server.Create("muster"); err != nil {
		return err
	}
	key, err := program.PolicyKey(c.bin, c.dir)
	if err != nil {
		return err
	}
	for i := range c.options.replicas {
		r := &replica{chaos: c, data: filepath.Join(c.dir, fmt.Sprintf("collector-%d", i+1))}
		if i > 0 { // all have the keys of the first
			if err := os.CopyFS(filepath.Join(r.data, "keys"), os.DirFS(filepath.Join(c.replicas[0].data, "keys"))); err != nil {
				return err
			}
			if err := private(r.data); err != nil {
				return err
			}
		}
		if err := r.start(); err != nil {
			return err
		}
		c.replicas = append(c.replicas, r)
	}
	if c.site, err = c.replicas[0].collector.Site(county, c.replicas[0].collector.URL, key); err != nil {
		return err
	}
	if c.recorded, err = agent.Audit(ctx, agent.Options{Recording: filepath.Join("testdata", "hosts", "win11-workstation.json")}); err != nil {
		return err
	}
	for i := range c.agents {
		h, err := c.newHost(i)
		if err != nil {
			return err
		}
		c.hosts = append(c.hosts, h)
	}
	return nil
}

// private takes away what others may do with a folder: copies lose its modes.
func private(dir string) error {
	return filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		return os.Chmod(name, mode)
	})
}

// rage lets agents live while everything is killed and started again.
func (c *chaos) rage(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.minutes*float64(time.Minute)))
	defer cancel()
	failed := make(chan error, len(c.hosts)+2)
	var all sync.WaitGroup
	start := func(do func() error) {
		all.Go(func() {
			if err := do(); err != nil {
				failed <- err
				cancel()
			}
		})
	}
	for _, h := range c.hosts {
		start(func() error { return h.live(ctx) })
	}
	start(func() error { return c.killReplicas(ctx, rand.New(rand.NewPCG(c.seed, 1))) })
	start(func() error { return c.breakDatabase(ctx, rand.New(rand.NewPCG(c.seed, 2))) })
	all.Wait()
	close(failed)
	var err error
	for e := range failed {
		err = errors.Join(err, e)
	}
	return err
}

// settle lets every agent bring what it still has.
func (c *chaos) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	failed := make([]error, len(c.hosts))
	var all sync.WaitGroup
	for i, h := range c.hosts {
		all.Go(func() { failed[i] = h.finish(ctx) })
	}
	all.Wait()
	return errors.Join(failed...)
}

func (c *chaos) close() error {
	var err error
	for _, r := range c.replicas {
		err = errors.Join(err, r.collector.Stop())
	}
	if c.server != nil {
		err = errors.Join(err, c.server.Stop())
	}
	return err
}

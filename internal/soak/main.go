// Command soak runs a small state for weeks in compressed time: real state
// folders, outboxes, uplinks and nodes of a real tailnet on loopback, a real
// collector process, and outages of every kind by a plan that its seed decides.
// At the end each report that an agent has acknowledged must be in the collector
// exactly once, or be declared as a gap by its host. Run it from the module's root,
// as `make soak` does.
package main

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/internal/program"
	"github.com/passmuster/muster/internal/tailnet/tailnettest"
	"github.com/passmuster/muster/internal/wire"
)

const (
	stepsADay     = 4 // contacts of each agent
	auditsAStep   = 6
	courierEvery  = 7 * stepsADay
	county        = muster.County("56021")
	collectorName = "collector"
	authKey       = "tskey-auth-soak"
	// How long a contact may take in real time, by whether it can succeed.
	reachable, unreachable = 20 * time.Second, 300 * time.Millisecond
	perTry, again          = 2 * time.Second, 200 * time.Millisecond
	maxTries               = 100
	// settleTimeout bounds the contacts after the last outage.
	settleTimeout = 5 * time.Minute
)

type options struct {
	bin, dir     string
	seed         uint64
	agents, days int
	courierEvery int // steps
}

// portables are the agents, at the end of the list, that have no network.
func (o *options) portables() int { return max(1, (o.agents+19)/20) }

func main() {
	o := options{courierEvery: courierEvery}
	flag.StringVar(&o.bin, "bin", "bin", "folder with the built programs")
	flag.StringVar(&o.dir, "dir", "", "folder for all state, kept; default one in memory, removed")
	flag.Uint64Var(&o.seed, "seed", 1, "decides what goes wrong, and when")
	flag.IntVar(&o.agents, "agents", 50, "hosts, at least 4")
	flag.IntVar(&o.days, "days", 60, "simulated days, at least 3")
	short := flag.Bool("short", false, "8 agents and 4 days")
	flag.Parse()
	if *short {
		o.agents, o.days, o.courierEvery = 8, 4, stepsADay
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, "soak: error:", err)
		os.Exit(1)
	}
}

// soak is the state that is simulated.
type soak struct {
	options
	log       *slog.Logger
	start     time.Time
	plan      []outage
	step      int
	tailnet   *tailnettest.Tailnet
	site      *muster.Site
	keys      []*ecdsa.PublicKey
	recorded  *agent.Result
	collector *program.Collector
	up        bool // the collector
	strangers map[kind]*httptest.Server
	hosts     []*host
	replaced  map[muster.HostID]muster.HostID // by re-imaging: new to old

	contacts, failed, decayed, pulled atomic.Int64
}

func run(ctx context.Context, w io.Writer, o options) (err error) {
	if o.agents < 4 || o.days < 3 {
		return errors.New("too small: at least 4 agents and 3 days")
	}
	if o.dir == "" {
		memory := "/dev/shm"
		if _, err := os.Stat(memory); err != nil {
			memory = ""
		}
		if o.dir, err = os.MkdirTemp(memory, "muster-soak-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	logFile, err := os.Create(filepath.Join(o.dir, "soak.log"))
	if err != nil {
		return err
	}
	defer logFile.Close()
	s := &soak{
		options: o, log: slog.New(slog.NewTextHandler(logFile, nil)), plan: plan(o.seed, o),
		start:     time.Now().Add(-time.Duration(o.days) * 24 * time.Hour).UTC().Truncate(time.Hour),
		strangers: map[kind]*httptest.Server{}, replaced: map[muster.HostID]muster.HostID{},
	}
	began := time.Now()
	fmt.Fprintf(w, "soak: %d agents (%d without a network), %d days, %d outages, seed %d\n", o.agents, o.portables(), o.days, len(s.plan), o.seed)
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.setUp(ctx); err != nil {
		return err
	}
	for s.step = 0; s.step < o.days*stepsADay; s.step++ {
		if err := s.doStep(ctx); err != nil {
			return fmt.Errorf("day %d: %w", s.step/stepsADay+1, err)
		}
		if (s.step+1)%stepsADay == 0 {
			s.day(w)
		}
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	t, err := s.tally(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "soak: %d contacts, %d without success, %d reports decayed, %d sticks pulled out too early, %s\n",
		s.contacts.Load(), s.failed.Load(), s.decayed.Load(), s.pulled.Load(), time.Since(began).Round(time.Second))
	return t.print(w)
}

// setUp starts the tailnet, the collector, and every host with one audit.
func (s *soak) setUp(ctx context.Context) (err error) {
	if s.tailnet, err = tailnettest.Start(tailnettest.Options{
		// Agents need not know one another, as a state's policy would have it.
		Sees: func(from, to string) bool { return from == collectorName || to == collectorName },
	}); err != nil {
		return err
	}
	key, err := program.PolicyKey(s.bin, s.dir)
	if err != nil {
		return err
	}
	if err := s.startCollector(); err != nil {
		return err
	}
	if s.site, err = s.collector.Site(county, "http://"+collectorName, key); err != nil {
		return err
	}
	if s.keys, err = wire.ParsePublicKeys(s.site.ReceiptKeys); err != nil {
		return err
	}
	if s.recorded, err = agent.Audit(ctx, agent.Options{Recording: filepath.Join("testdata", "hosts", "win11-workstation.json")}); err != nil {
		return err
	}
	if err := s.openStrangers(); err != nil {
		return err
	}
	for i := range s.agents {
		s.hosts = append(s.hosts, s.newHost(fmt.Sprintf("host-%02d", i+1), i))
	}
	return s.each(func(h *host) error {
		if err := os.MkdirAll(h.dir, 0o700); err != nil {
			return err
		}
		if err := h.audit(); err != nil || h.portable {
			return err
		}
		s.tailnet.Tag(h.name, "tag:county-"+string(county))
		return errors.Join(h.join(), h.boot())
	})
}

// each does something for every host at once.
func (s *soak) each(do func(*host) error) error {
	failed := make([]error, len(s.hosts))
	var all sync.WaitGroup
	for i, h := range s.hosts {
		all.Go(func() { failed[i] = do(h) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// doStep lets everyone live for some hours.
func (s *soak) doStep(ctx context.Context) error {
	for _, o := range s.plan {
		var err error
		switch s.step {
		case o.from:
			err = s.begin(o)
		case o.to:
			err = s.end(o)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o.kind, err)
		}
	}
	err := s.each(func(h *host) error {
		for range auditsAStep {
			h.clock = h.clock.Add(24 * time.Hour / stepsADay / auditsAStep)
			if err := h.audit(); err != nil {
				return err
			}
		}
		if !h.portable {
			h.contact(ctx)
		}
		return nil
	})
	if err == nil {
		err = s.reimage()
	}
	if err == nil && s.step%s.courierEvery == s.courierEvery-1 {
		err = s.couriers(ctx)
	}
	return errors.Join(err, ctx.Err())
}

// reimage gives machines an empty disk once it is their time.
func (s *soak) reimage() error {
	for i, h := range s.hosts {
		if !on(s.plan, s.step, i, reimaged) || h.renewed || on(s.plan, s.step, i, controlDown, relayDown, partition) {
			continue
		}
		old := h.id
		ok, err := h.reimage()
		if err != nil {
			return err
		}
		if h.renewed = ok; ok {
			s.replaced[h.id] = old
		}
	}
	return nil
}

// couriers makes a run to every portable host.
func (s *soak) couriers(ctx context.Context) error {
	for _, h := range s.hosts {
		if h.portable {
			if err := h.courierRun(ctx, s.hosts[len(s.hosts)%2+2]); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin lets an outage begin.
func (s *soak) begin(o outage) (err error) {
	s.log.Info("begins", "outage", o.kind, "agent", o.agent, "step", s.step)
	switch o.kind {
	case controlDown:
		s.tailnet.StopControl()
	case relayDown:
		s.tailnet.StopDERP()
	case collectorDown:
		return s.killCollector()
	case moved:
		return s.moveCollector()
	}
	if o.agent < 0 {
		return nil
	}
	h := s.hosts[o.agent]
	switch o.kind {
	case partition:
		s.tailnet.Cut(h.name, true)
	case keyExpired:
		s.tailnet.ExpireKey(h.name)
	case killed:
		return h.die()
	case wrongClock:
		h.skew = time.Duration(h.rng.IntN(20*365)-10*365) * 24 * time.Hour
	case corrupt:
		return h.decay()
	case cloned:
		c, err := h.clone()
		s.hosts = append(s.hosts, c)
		return err
	}
	return nil
}

// end lets it end, unless another one of the kind goes on.
func (s *soak) end(o outage) error {
	if on(s.plan, s.step, o.agent, o.kind) {
		return nil
	}
	s.log.Info("ends", "outage", o.kind, "agent", o.agent, "step", s.step)
	switch o.kind {
	case controlDown:
		s.tailnet.StartControl()
	case relayDown:
		s.tailnet.StartDERP()
	case collectorDown:
		return s.startCollector()
	case partition:
		s.tailnet.Cut(s.hosts[o.agent].name, false)
	case keyExpired:
		return s.hosts[o.agent].signIn()
	case wrongClock:
		s.hosts[o.agent].skew = 0
	}
	return nil
}

func (s *soak) day(w io.Writer) {
	acked := 0
	for _, h := range s.hosts {
		acked += len(h.acked)
	}
	fmt.Fprintf(w, "soak: day %d: %d reports acknowledged, %d contacts, %d without success\n",
		(s.step+1)/stepsADay, acked, s.contacts.Load(), s.failed.Load())
}

func (s *soak) startCollector() (err error) {
	key := filepath.Join(s.dir, "collector.key")
	if err := os.WriteFile(key, []byte(authKey), 0o600); err != nil {
		return err
	}
	s.collector, err = program.StartCollector(s.bin, filepath.Join(s.dir, "data"), "",
		"--tailnet-hostname", collectorName, "--control-url", s.tailnet.ControlURL(collectorName),
		"--auth-key-file", key)
	s.up = err == nil
	return err
}

func (s *soak) killCollector() error {
	s.up = false
	return s.collector.Kill()
}

// moveCollector gives it another node, and so another address.
func (s *soak) moveCollector() error {
	was := s.up
	if was {
		s.up = false
		if err := s.collector.Stop(); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "data", "tailnet")); err != nil || !was {
		return err
	}
	return s.startCollector()
}

// openStrangers are who answers in the collector's place.
func (s *soak) openStrangers() error {
	key, err := wire.NewKey()
	if err != nil {
		return err
	}
	s.strangers[impostor] = httptest.NewServer(stranger{key})
	s.strangers[busy] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "busy", http.StatusServiceUnavailable)
	}))
	s.strangers[portal] = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<title>Welcome to the library</title>")
	}))
	return nil
}

// close ends everything, the collector last but for the tailnet.
func (s *soak) close() error {
	err := s.each(func(h *host) error {
		if h.node == nil {
			return nil
		}
		return h.node.Close()
	})
	if s.up {
		err = errors.Join(err, s.collector.Stop())
	}
	for _, stranger := range s.strangers {
		stranger.Close()
	}
	if s.tailnet != nil {
		s.tailnet.Close()
	}
	return err
}

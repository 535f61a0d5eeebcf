package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/outbox"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/agent/uplink"
	"github.com/passmuster/muster/internal/service"
	"github.com/passmuster/muster/internal/tailnet"
)

const (
	joinTimeout = time.Minute
	stopTimeout = 10 * time.Second
	// stuckAfter is longer than any step of the main loop takes that still moves.
	stuckAfter = 10 * time.Minute
)

func (f *flags) run(ctx context.Context, stderr io.Writer) error {
	if f.interval <= 0 {
		return &usageError{fmt.Errorf("--interval %v is not a time span", f.interval), "use for example --interval 15m"}
	}
	rate, err := uplink.ParseRate(f.maxRate)
	if err != nil {
		return &usageError{fmt.Errorf("--max-rate: %w", err), "leave it out for no bound"}
	}
	logger, err := newLogger(stderr, f.logFormat)
	if err != nil {
		return err
	}
	p, err := f.open(rate, logger)
	if err != nil {
		return err
	}
	if f.once {
		return errors.Join(p.once(ctx), p.steps.Stop())
	}
	logger.Info("started", "version", muster.Version, "state", f.state)
	err = service.Run(ctx, "MusterUplink", p.run)
	logger.Info("stopped")
	return err
}

// postman is the program's parts, and when they last moved.
type postman struct {
	uplink *uplink.Uplink
	node   *tailnet.Node // nil where the collector is on this computer
	steps  service.Steps
	// The wall clock leaps when a computer wakes up, or is set; this one does not.
	started time.Time
	moved   atomic.Int64 // nanoseconds since
}

func (p *postman) alive() { p.moved.Store(int64(time.Since(p.started))) }

func (f *flags) open(rate int, logger *slog.Logger) (*postman, error) {
	b, err := os.ReadFile(f.site)
	if err != nil {
		hint := "ask the state for it, and give its place with --site"
		if errors.Is(err, fs.ErrPermission) {
			hint = "the user that runs muster-uplink must be able to read it"
		}
		return nil, &usageError{fmt.Errorf("site file: %w", err), hint}
	}
	site, err := muster.ParseSite(b)
	if err != nil {
		return nil, &usageError{err, "correct " + f.site + ", or ask the state for a new one"}
	}
	folder, err := state.OpenReader(f.state)
	if err != nil {
		return nil, &usageError{err, "muster audit makes the folder; --state says where it is"}
	}
	box, err := outbox.OpenReader(folder.OutboxDir())
	if err != nil {
		return nil, &usageError{err, "the user that runs muster-uplink must be in the group " + state.UplinkGroup}
	}
	p := &postman{started: time.Now()}
	o := uplink.Options{
		Site:           site,
		Outbox:         box,
		EnrollmentFile: folder.EnrollmentFile(),
		ReceiptsDir:    folder.ReceiptsDir(),
		InboxDir:       folder.InboxDir(),
		OutboxDir:      folder.OutboxDir(),
		RelayOutDir:    folder.RelayOutDir(),
		RelayInDir:     folder.RelayInDir(),
		StatusFile:     folder.StatusFile("uplink"),
		PolicyDigest:   func() string { return lastAudit(folder).Policy.Digest },
		PolicyRefused:  func() bool { return lastAudit(folder).PolicyRefused != "" },
		Interval:       f.interval,
		Alive:          p.alive,
		Logger:         logger,
	}
	client := uplink.ClientOptions{MaxRate: rate, Moved: p.alive}
	if onTailnet(site) {
		if err := f.join(p, site, folder, logger); err != nil {
			return nil, err
		}
		o.Tailnet = func() muster.TailnetStatus { return p.node.Status(context.Background()) }
		client.Dial = p.dial
	}
	o.Client = uplink.NewClient(client)
	if p.uplink, err = uplink.New(o); err != nil {
		return nil, errors.Join(&usageError{err, "correct " + f.site + ", or ask the state for a new one"}, p.steps.Stop())
	}
	return p, nil
}

// onTailnet: a collector on this computer needs no tailnet, except where the site
// file names one.
func onTailnet(s *muster.Site) bool {
	u, err := url.Parse(s.Collector)
	return s.ControlURL != "" || err == nil && !muster.IsLoopback(u.Hostname())
}

func (f *flags) join(p *postman, site *muster.Site, folder *state.Folder, logger *slog.Logger) error {
	hostname, err := os.Hostname()
	if err != nil {
		logger.Warn("this computer does not know its name", "error", err)
	}
	node, err := tailnet.Start(tailnet.Options{
		Dir:         cmp.Or(f.tailnetDir, filepath.Join(folder.UplinkDir(), "tailnet")),
		Hostname:    nodeName(hostname),
		ControlURL:  site.ControlURL,
		AuthKeyFile: cmp.Or(f.authKeyFile, folder.AuthKeyFile()),
		ShieldsUp:   true,
		Logger:      logger,
	})
	if err != nil {
		return &usageError{err, "the user that runs muster-uplink must own the folder; --tailnet-dir says where it is"}
	}
	p.node = node
	p.steps.Add("tailnet", stopTimeout, func(context.Context) error { return node.Close() })
	return nil
}

func (p *postman) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if host, _, err := net.SplitHostPort(address); err == nil && muster.IsLoopback(host) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	return p.node.Dial(ctx, network, address)
}

// nodeName is muster-<hostname>, as far as it fits a DNS label.
func nodeName(host string) string {
	host, _, _ = strings.Cut(strings.ToLower(host), ".")
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, "muster-"+host)
	return strings.Trim(name[:min(len(name), 63)], "-")
}

func (p *postman) once(ctx context.Context) error {
	if p.node != nil {
		joining, cancel := context.WithTimeout(ctx, joinTimeout)
		defer cancel()
		if err := p.node.Up(joining); err != nil && ctx.Err() != nil {
			return ctx.Err() // else the uplink says what is wrong, and the status file too
		}
	}
	return p.uplink.Once(ctx)
}

// run carries mail until ctx is done, or the main loop no longer moves: then the
// service manager starts the program anew.
func (p *postman) run(ctx context.Context, ready func()) error {
	p.alive()
	p.uplink.Ready = ready
	carrying, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.uplink.Run(carrying) }()
	p.steps.Add("uplink", stopTimeout, func(bounded context.Context) error {
		stop()
		select {
		case err := <-ended:
			return err
		case <-bounded.Done():
			return bounded.Err()
		}
	})
	return errors.Join(p.watch(ctx, ended), p.steps.Stop())
}

// watch returns nil when ctx is done, and an error where the main loop ended or
// stands still.
func (p *postman) watch(ctx context.Context, ended chan error) error {
	tick := time.NewTicker(stuckAfter / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			ended <- nil // for who stops it
			return cmp.Or(err, errors.New("the uplink ended by itself"))
		case <-tick.C:
			if still := time.Since(p.started) - time.Duration(p.moved.Load()); still > stuckAfter {
				return fmt.Errorf("nothing has moved for %v", still.Round(time.Second))
			}
		}
	}
}

package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/internal/tailnet"
)

// lookEvery is how soon a change of the tailnet's state is logged.
const lookEvery = 5 * time.Second

// tailnetFlags say whether and how the collector joins a tailnet.
type tailnetFlags struct{ hostname, controlURL, authKeyFile string }

func (t *tailnetFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&t.hostname, "tailnet-hostname", "", "join a tailnet under this name, and listen there on port 80")
	f.StringVar(&t.controlURL, "control-url", "", "control server of the tailnet (default: Tailscale's own)")
	f.StringVar(&t.authKeyFile, "auth-key-file", "", "file with the key that lets the node in; deleted once it has joined")
}

func (t *tailnetFlags) check() error {
	if t.hostname == "" && t.controlURL+t.authKeyFile != "" {
		return errors.New("--control-url and --auth-key-file are for a tailnet: name the node with --tailnet-hostname")
	}
	return nil
}

// run serves, in the tailnet too where the flags say so.
func (t *tailnetFlags) run(ctx context.Context, c *collector.Collector, ready func(link string)) error {
	if t.hostname == "" {
		return c.Run(ctx, ready)
	}
	node, err := tailnet.Start(tailnet.Options{
		Dir: filepath.Join(c.Data, "tailnet"), Hostname: t.hostname,
		ControlURL: t.controlURL, AuthKeyFile: t.authKeyFile, Logger: c.Logger,
	})
	if err != nil {
		return err
	}
	c.Tailnet = node
	looking, stop := context.WithCancel(ctx)
	var look sync.WaitGroup
	look.Go(func() { watch(looking, node.Status, c.Logger) })
	err = c.Run(ctx, ready)
	stop()
	look.Wait()
	if e := node.Close(); e != nil { // nothing that was received depends on it
		c.Logger.Warn("tailnet node not closed", "error", e)
	}
	return err
}

// watch logs where the node stands, and what to do about it, whenever that changes.
func watch(ctx context.Context, status func(context.Context) muster.TailnetStatus, logger *slog.Logger) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for last := ""; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s := status(ctx)
		problems := strings.Join(s.Problems, "; ")
		now := s.State + s.LoginURL + problems
		if now == last || ctx.Err() != nil {
			continue
		}
		last = now
		level := slog.LevelInfo
		if problems != "" || s.LoginURL != "" {
			level = slog.LevelWarn
		}
		logger.Log(ctx, level, "tailnet node", "state", s.State, "name", s.Name, "addresses", s.Addresses, "login_url", s.LoginURL, "problems", problems)
	}
}

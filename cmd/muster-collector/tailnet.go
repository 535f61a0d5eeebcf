package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/collector/settings"
	"github.com/passmuster/muster/internal/tailnet"
)

// lookEvery is how soon a change of the tailnet's state is logged.
const lookEvery = 5 * time.Second

// runInTailnet serves, in the tailnet too where one is configured.
func runInTailnet(ctx context.Context, c *collector.Collector, t settings.Tailnet, ready func(link string)) error {
	if t.Hostname == "" {
		return c.Run(ctx, ready)
	}
	node, err := tailnet.Start(tailnet.Options{
		Dir: filepath.Join(c.Data, "tailnet"), Hostname: t.Hostname,
		ControlURL: t.ControlURL, AuthKeyFile: t.AuthKeyFile, Logger: c.Logger,
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

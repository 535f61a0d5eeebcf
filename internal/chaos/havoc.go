package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/passmuster/muster/internal/program"
)

const (
	// One collector is killed every so often, and the database broken.
	killLeast, killMost   = 2 * time.Second, 5 * time.Second
	breakLeast, breakMost = 15 * time.Second, 30 * time.Second
	// downMost is how long what was killed stays away.
	downMost = 3 * time.Second
	// startTimeout bounds the tries to start a collector: its database may be away.
	startTimeout, startAgain = 2 * time.Minute, 300 * time.Millisecond
)

// replica is one of the collectors; it keeps its address.
type replica struct {
	*chaos
	data      string
	address   string // "" before it has one
	collector *program.Collector
}

func (r *replica) start() (err error) {
	for until := time.Now().Add(startTimeout); ; time.Sleep(startAgain) {
		r.collector, err = program.StartCollector(r.bin, r.data, r.address, "--database", r.dsn)
		if err == nil {
			break
		}
		r.log.Info("collector not started", "data", r.data, "error", err)
		if time.Now().After(until) {
			return err
		}
	}
	if r.address == "" {
		r.address = strings.TrimPrefix(r.collector.URL, "http://")
	}
	return nil
}

// killReplicas kills one collector after the other and starts it again, the last time
// before it ends.
func (c *chaos) killReplicas(ctx context.Context, rng *rand.Rand) error {
	for sleep(ctx, between(rng, killLeast, killMost)) {
		r := c.replicas[rng.IntN(len(c.replicas))]
		if err := r.collector.Kill(); err != nil {
			return fmt.Errorf("kill the collector in %s: %w", r.data, err)
		}
		c.log.Info("collector killed", "data", r.data, "kills", c.kills.Add(1))
		sleep(ctx, between(rng, 0, downMost))
		if err := r.start(); err != nil {
			return err
		}
	}
	return nil
}

// breakDatabase stops or crashes the database and starts it again.
func (c *chaos) breakDatabase(ctx context.Context, rng *rand.Rand) error {
	for n := 0; sleep(ctx, between(rng, breakLeast, breakMost)); n++ {
		end, count := c.server.Stop, &c.stops
		if n%2 == 0 {
			end, count = c.server.Kill, &c.crashes
		}
		c.log.Info("database ends", "crash", n%2 == 0)
		if err := end(); err != nil {
			return err
		}
		count.Add(1)
		sleep(ctx, between(rng, 0, downMost))
		if err := c.server.Restart(); err != nil {
			return err
		}
		c.log.Info("database is back")
	}
	return nil
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)))
}

// sleep reports whether ctx has not ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

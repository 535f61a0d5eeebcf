package collector

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/passmuster/muster/collector/hooks"
)

const (
	// rollupEvery divides a day, so that one is soon after midnight UTC.
	rollupEvery = 5 * time.Minute
	// rollupAge is how long ago all must be committed that a roll-up counts.
	rollupAge   = 2 * time.Minute
	retainEvery = 24 * time.Hour
	hooksEvery  = 3 * time.Second
	// leadAgain is how soon another collector takes over, and a failed job is tried again.
	leadAgain = 5 * time.Second
)

// job is done by one of the collectors before a database.
type job struct {
	name  string
	every time.Duration
	do    func(context.Context) error
}

func (c *Collector) jobList(sender *hooks.Sender) []job {
	return []job{
		{"rollup", rollupEvery, func(ctx context.Context) error { return c.store.Rollup(ctx, c.Now().Add(-rollupAge)) }},
		{"retain", retainEvery, c.retain},
		{"webhooks", hooksEvery, sender.Send},
	}
}

func (c *Collector) retain(ctx context.Context) error {
	n, err := c.store.Retain(ctx, c.Now().Add(-c.Evidence))
	if err == nil && n > 0 {
		c.Logger.Info("evidence let go", "reports", n, "older_than_days", int(c.Evidence.Hours()/24))
	}
	return err
}

// runJobs does the jobs until ctx ends, while no other collector before the same
// database does them.
func (c *Collector) runJobs(ctx context.Context, sender *hooks.Sender) error {
	for {
		_, err := c.store.Once(ctx, "jobs", func(ctx context.Context) error {
			c.Logger.Info("jobs are done here")
			var all sync.WaitGroup
			for _, j := range c.jobList(sender) {
				all.Go(func() { c.repeat(ctx, j) })
			}
			all.Wait()
			return nil
		})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			c.Logger.Warn("jobs not begun", "error", err)
		}
		if !sleep(ctx, leadAgain) {
			return nil
		}
	}
}

// repeat does a job at once and then again and again, until ctx ends; one that failed
// sooner.
func (c *Collector) repeat(ctx context.Context, j job) {
	for {
		err := j.do(ctx)
		if ctx.Err() != nil {
			return
		}
		c.history.note(j.name, c.Now(), err)
		now := c.Now()
		wait := now.Truncate(j.every).Add(j.every).Sub(now)
		if err != nil {
			c.Logger.Error("job failed", "job", j.name, "error", err)
			wait = min(wait, leadAgain)
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// sleep reports whether ctx lasts as long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// history is what became of the jobs of this process, by name.
type history struct {
	mu       sync.Mutex
	failures map[string]int
	last     map[string]time.Time // that went well
}

func (h *history) note(job string, at time.Time, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failures == nil {
		h.failures, h.last = map[string]int{}, map[string]time.Time{}
	}
	if err != nil {
		h.failures[job]++
		return
	}
	h.failures[job] += 0 // there from its first end
	h.last[job] = at
}

func (h *history) read() (failures map[string]int, last map[string]time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.failures), maps.Clone(h.last)
}

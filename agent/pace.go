package agent

import (
	"context"
	"time"
)

// maxPause bounds one pause, and maxPauses all of one audit: the facts have to come
// within GatherBudget.
const (
	maxPause  = 2 * time.Second
	maxPauses = time.Minute
)

// pacer keeps an audit that nobody waits for within a share of one processor, by
// pauses between its facts.
type pacer struct {
	share  float64 // 0 means no bound
	start  time.Time
	cpu    time.Duration // at the start
	paused time.Duration
}

func newPacer(share float64) *pacer { return &pacer{share: share, start: time.Now(), cpu: cpuTime()} }

// used is how much processor time this program has taken since the start.
func (p *pacer) used() time.Duration { return cpuTime() - p.cpu }

// pause waits until the time since the start is enough for what was used.
func (p *pacer) pause(ctx context.Context) {
	if p.share <= 0 {
		return
	}
	due := time.Duration(float64(p.used())/p.share) - time.Since(p.start)
	due = min(due, maxPause, maxPauses-p.paused)
	if due <= 0 {
		return
	}
	p.paused += due
	select {
	case <-ctx.Done():
	case <-time.After(due):
	}
}

// LastAudit is when the last audit of this computer was; zero where there was none,
// or nobody knows.
func LastAudit(dir string) time.Time { return lastAudit(dir).AuditedAt }

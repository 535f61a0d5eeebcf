package tables

import (
	"slices"
	"sync"
	"time"
)

// settled is after how long whatever was stamped is committed: transactions are not let to
// last that long.
const settled = int64(2 * time.Minute / time.Microsecond)

// maxPast bounds the tallies that are remembered: of 254 counties and 60 controls each has
// some 600 kB.
const maxPast = 16

// past remembers how everything stood at instants that were asked for lately, as it was
// shown: that never changes.
type past struct {
	mu    sync.Mutex
	clock int64 // when it was asked last
	all   []moment
}

type moment struct {
	at    int64
	tally *tally
}

// get is what is remembered of an instant, or nil. Where the clock went back, roll-ups of
// what was the past may be made anew: then all is forgotten.
func (p *past) get(now, at int64) *tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now < p.clock-settled {
		p.all, p.clock = nil, now
	}
	p.clock = max(p.clock, now)
	n := p.find(at)
	if n < 0 {
		return nil
	}
	m := p.all[n]
	p.all = append(slices.Delete(p.all, n, n+1), m) // what was used last is let go last
	return m.tally
}

// keep remembers what get did not.
func (p *past) keep(at int64, t *tally) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.find(at) >= 0 { // another was faster
		return
	}
	if len(p.all) == maxPast {
		p.all = slices.Delete(p.all, 0, 1)
	}
	p.all = append(p.all, moment{at, t})
}

func (p *past) find(at int64) int {
	return slices.IndexFunc(p.all, func(m moment) bool { return m.at == at })
}

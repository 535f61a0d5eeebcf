package ingest

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Stats counts what ingest does, from when it was made on. Safe for concurrent use;
// the zero value is ready.
type Stats struct {
	// Reports counts outcomes by wire.Code.
	Reports Counter
	// Refused counts requests that were turned away, by the code of the problem.
	Refused Counter
	// Bytes of reports, as they came.
	Bytes atomic.Int64
	// Held is how many bytes of reports wait now, and Waiting in how many chunks.
	Held, Waiting atomic.Int64
	// Committed is told of every transaction: its reports, how long it took, and
	// why it failed. nil means that nobody asks. Set it before the first use.
	Committed func(reports int, took time.Duration, err error)
}

// Counter counts by a stable word. The zero value is ready.
type Counter struct {
	mu sync.Mutex
	n  map[string]int64
}

// Add counts n more.
func (c *Counter) Add(word string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[word] += n
}

// Counts are what was counted so far; the caller owns them.
func (c *Counter) Counts() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

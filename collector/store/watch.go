package store

import (
	"context"
	"sync"

	"github.com/passmuster/muster"
)

// watchBuffer is how many changes a watcher can be behind.
const watchBuffer = 16

// Watchers are those who watch one store in this process. The zero value is ready.
type Watchers struct {
	mu  sync.Mutex
	all map[chan []muster.County]bool
}

// Watch gives a channel of what Tell is told, until ctx ends.
func (w *Watchers) Watch(ctx context.Context) <-chan []muster.County {
	c := make(chan []muster.County, watchBuffer)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[chan []muster.County]bool{}
	}
	w.all[c] = true
	context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all, c)
		close(c)
	})
	return c
}

// Tell never waits: one who does not listen is told once that anything may have
// changed.
func (w *Watchers) Tell(counties []muster.County) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.all {
		select {
		case c <- counties:
			continue
		default:
		}
		for range len(c) {
			select {
			case <-c:
			default:
			}
		}
		c <- nil // nobody else sends
	}
}

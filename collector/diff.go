package collector

import (
	"context"
	"fmt"
	"io/fs"
	"sync"

	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/policies"
	diff "github.com/passmuster/muster/policies/changes"
)

// compared keeps what releases change against others, of which neither ever changes.
type compared struct {
	mu   sync.Mutex
	kept map[[2]int64]*comparison
	turn sync.Mutex // one pair at a time is enough
}

// comparison is of whoever asks for it first; list and err are there once done is closed.
type comparison struct {
	done chan struct{}
	list []diff.Change
	err  error
}

// maxCompared bounds the pairs of releases that are kept.
const maxCompared = 8

// Diff tells what one published policy changes against another, at most web.MostChanges of
// it; from 0 is the baseline of this program.
func (c *Collector) Diff(ctx context.Context, from, to int64) ([]diff.Change, error) {
	k, pair := &c.compared, [2]int64{from, to}
	k.mu.Lock()
	one, known := k.kept[pair]
	if !known {
		if k.kept == nil || len(k.kept) >= maxCompared {
			k.kept = map[[2]int64]*comparison{}
		}
		one = &comparison{done: make(chan struct{})}
		k.kept[pair] = one
	}
	k.mu.Unlock()
	if !known {
		// Others may wait for it who are there longer than this request.
		c.compare(context.WithoutCancel(ctx), pair, one)
	}
	select {
	case <-one.done:
		return one.list, one.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// compare makes a comparison. What two policies say is found once, and so is that they
// cannot be compared; that they could not be read now is forgotten.
func (c *Collector) compare(ctx context.Context, pair [2]int64, one *comparison) {
	defer close(one.done)
	c.compared.turn.Lock()
	defer c.compared.turn.Unlock()
	var bundles [2][]byte // nil for the baseline of this program
	for i, version := range pair {
		if version == 0 {
			continue
		}
		if bundles[i], one.err = c.store.Bundle(ctx, version); one.err != nil {
			c.compared.mu.Lock()
			delete(c.compared.kept, pair)
			c.compared.mu.Unlock()
			return
		}
	}
	// It stands where the comparison panics: nobody is to read that nothing changes.
	one.err = fmt.Errorf("compare policy versions %d and %d: it did not end", pair[0], pair[1])
	list, err := between(bundles[0], bundles[1])
	if err != nil {
		err = fmt.Errorf("compare policy versions %d and %d: %w", pair[0], pair[1], err)
	}
	one.list, one.err = list, err
}

// between tells what a packed bundle changes against another; nil is the baseline of this
// program.
func between(from, to []byte) ([]diff.Change, error) {
	old, err := contents(from)
	if err != nil {
		return nil, err
	}
	files, err := contents(to)
	if err != nil {
		return nil, err
	}
	list, err := diff.Between(old, files)
	return list[:min(len(list), web.MostChanges)], err
}

func contents(bundle []byte) (map[string][]byte, error) {
	if bundle != nil {
		return policies.Unpack(bundle)
	}
	files := map[string][]byte{}
	return files, fs.WalkDir(policies.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[name], err = fs.ReadFile(policies.FS(), name)
		}
		return err
	})
}

package collector

import (
	"context"
	"fmt"
	"io/fs"
	"sync"

	"github.com/passmuster/muster/policies"
	diff "github.com/passmuster/muster/policies/changes"
)

// compared keeps what releases change against others, of which neither ever changes.
type compared struct {
	mu   sync.Mutex // held while two are compared: one pair at a time is enough
	kept map[[2]int64][]diff.Change
}

// maxCompared bounds the pairs of releases that are kept.
const maxCompared = 32

// Diff tells what one published policy changes against another; from 0 is the baseline
// of this program.
func (c *Collector) Diff(ctx context.Context, from, to int64) ([]diff.Change, error) {
	c.compared.mu.Lock()
	defer c.compared.mu.Unlock()
	pair := [2]int64{from, to}
	if list, ok := c.compared.kept[pair]; ok {
		return list, nil
	}
	old, err := c.contents(ctx, from)
	if err != nil {
		return nil, err
	}
	files, err := c.contents(ctx, to)
	if err != nil {
		return nil, err
	}
	list, err := diff.Between(old, files)
	if err != nil {
		return nil, fmt.Errorf("compare policy versions %d and %d: %w", from, to, err)
	}
	if c.compared.kept == nil || len(c.compared.kept) >= maxCompared {
		c.compared.kept = map[[2]int64][]diff.Change{}
	}
	c.compared.kept[pair] = list
	return list, nil
}

// contents are the files of a published policy, or with 0 of the baseline of this program.
func (c *Collector) contents(ctx context.Context, version int64) (map[string][]byte, error) {
	if version != 0 {
		data, err := c.store.Bundle(ctx, version)
		if err != nil {
			return nil, err
		}
		return policies.Unpack(data)
	}
	files := map[string][]byte{}
	return files, fs.WalkDir(policies.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[name], err = fs.ReadFile(policies.FS(), name)
		}
		return err
	})
}

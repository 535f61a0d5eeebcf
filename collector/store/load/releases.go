package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

// The policies of a history, as reports name them: every host first judged by the one that
// came with it, and then by the one that is offered to all; most canaries by a newer one.
const (
	builtIn, everywhere, tried = "built in", "load", "load, tried"
	canaryEvery, triedDays     = 67, 10
)

func canary(n int) bool { return n%canaryEvery == 0 }

// triedAt is when the newer policy was published.
func (h *history) triedAt() time.Time { return h.now().Add(-triedDays * dayLong) }

// policy is what a host judged by.
func (h *history) policy(n int, v version) string {
	switch {
	case v.n == 2:
		return builtIn
	case canary(n) && v.about >= h.triedAt().UnixMicro():
		return tried
	}
	return everywhere
}

// releases gives the rows of both that were published, which hold the baseline.
func (h *history) releases() ([]store.Row, error) {
	key, err := wire.NewKey()
	if err != nil {
		return nil, err
	}
	var list []store.Row
	for i, r := range []muster.Release{
		{Policy: everywhere, Ring: muster.RingAll, Published: h.start.Add(dayLong)},
		{Policy: tried, Ring: muster.RingCanary, Published: h.triedAt()},
	} {
		packed, err := bundle.Build(policies.FS(), bundle.BuildOptions{Version: int64(i + 1), Revision: r.Policy})
		if err == nil {
			packed, err = bundle.Sign(packed, key)
		}
		if err != nil {
			return nil, fmt.Errorf("make release %d: %w", i+1, err)
		}
		sum := sha256.Sum256(packed)
		list = append(list, row("policies", int64(i+1), r.Policy, hex.EncodeToString(sum[:]), r.Policy, string(r.Ring), int64(0), "load",
			r.Published.UnixMicro(), packed))
	}
	return list, nil
}

package agent

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"
)

func TestPacerKeepsItsShare(t *testing.T) {
	const share = 0.25
	p := newPacer(share)
	data := make([]byte, 1<<20)
	for range 40 {
		sha256.Sum256(data)
		p.pause(context.Background())
	}
	if p.used() <= 0 {
		t.Fatal("no processor time was measured")
	}
	if got := float64(p.used()) / float64(time.Since(p.start)); got > 1.2*share {
		t.Errorf("took %.2f of a processor, more than %.2f", got, share)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	unbound := newPacer(0)
	unbound.pause(ctx)
	if unbound.paused != 0 {
		t.Errorf("paused %v though nobody asked for it", unbound.paused)
	}
}

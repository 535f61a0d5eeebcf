package collector

import (
	"context"
	"time"

	"github.com/passmuster/muster/internal/service"
)

// parts of a running collector, stopped the last started first.
type parts struct {
	service.Steps
	base  context.Context // keeps values of Run's context, and does not end with it
	broke chan struct{}   // a part has ended by itself
}

func newParts(ctx context.Context) *parts {
	return &parts{base: context.WithoutCancel(ctx), broke: make(chan struct{}, 1)}
}

// start runs a part that ends with its context.
func (p *parts) start(name string, limit time.Duration, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(p.base)
	p.begin(name, limit, func() error { return run(ctx) }, func() error { cancel(); return nil })
}

// begin runs a part that end ends.
func (p *parts) begin(name string, limit time.Duration, run, end func() error) {
	done := make(chan error, 1)
	go func() {
		done <- run()
		select {
		case p.broke <- struct{}{}:
		default:
		}
	}()
	p.Add(name, limit, func(context.Context) error {
		if err := end(); err != nil {
			return err
		}
		return <-done
	})
}

// wait until ctx ends, or a part that should not.
func (p *parts) wait(ctx context.Context) {
	select {
	case <-p.broke:
	case <-ctx.Done():
	}
}

// Package service runs a long-lived program under whatever started it: systemd,
// the Windows service manager, or a person at a terminal.
package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Run runs f until it returns or whoever started the program, or ctx, wants it to
// stop; then its ctx is done and f ends soon. f calls ready once it serves. Under systemd
// Run tells it so, and that the program is alive; under the Windows service
// manager it is the service of this name. It returns f's error.
func Run(ctx context.Context, name string, f func(ctx context.Context, ready func()) error) error {
	return run(ctx, name, f)
}

// inTerminal ends ctx at SIGINT and SIGTERM; a second one ends the program.
func inTerminal(ctx context.Context, f func(ctx context.Context, ready func()) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return f(ctx, func() {})
}

// Steps stops the parts of a program, the last started first. The zero value is
// ready for use.
type Steps struct {
	mu    sync.Mutex
	steps []step
}

type step struct {
	name  string
	limit time.Duration
	stop  func(ctx context.Context) error
}

// Add says how to stop a part that has started, and how long that may take.
func (s *Steps) Add(name string, limit time.Duration, stop func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, step{name, limit, stop})
}

// Stop stops every part, whatever the others do; a part that does not end within
// its limit is left behind. The error names those that failed. Parts are stopped
// once, however often Stop is called.
func (s *Steps) Stop() error {
	s.mu.Lock()
	steps := s.steps
	s.steps = nil
	s.mu.Unlock()
	var errs []error
	for _, step := range slices.Backward(steps) {
		if err := step.run(); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", step.name, err))
		}
	}
	return errors.Join(errs...)
}

func (s step) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.stop(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // it kept the limit, if barely
		return err
	default:
		return fmt.Errorf("not done after %v", s.limit)
	}
}

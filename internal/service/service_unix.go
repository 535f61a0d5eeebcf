//go:build unix

package service

import (
	"context"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// run speaks sd_notify where systemd has asked for it; elsewhere that says nothing.
func run(ctx context.Context, _ string, f func(ctx context.Context, ready func()) error) error {
	return inTerminal(ctx, func(ctx context.Context, _ func()) error {
		stopping := sync.OnceFunc(func() { tell(daemon.SdNotifyStopping) })
		context.AfterFunc(ctx, stopping)
		defer stopping()
		ready := sync.OnceFunc(func() {
			tell(daemon.SdNotifyReady)
			if every, err := daemon.SdWatchdogEnabled(false); err == nil && every > 0 {
				go beat(ctx, every/2)
			}
		})
		return f(ctx, ready)
	})
}

// beat tells systemd that the program is alive until ctx is done.
func beat(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		tell(daemon.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// tell has nobody to complain to: systemd acts on what it does not hear.
func tell(state string) { _, _ = daemon.SdNotify(false, state) }

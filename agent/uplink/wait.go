package uplink

import (
	"context"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

const (
	// lookEvery is how often the folders are read though they seem unchanged: a
	// change within one tick of a file system's clock does not show.
	lookEvery = 15 * time.Second
	// tailnetEvery is how soon the status file shows a change; to ask is not for free.
	tailnetEvery = 20 * time.Second
	running      = "running"
)

// wait ends after d, or sooner where something changes that a contact would take
// up: new mail after a contact that went well; after one that failed, an
// enrollment that was missing or a tailnet that was down.
func (u *Uplink) wait(ctx context.Context, d time.Duration, failed error) {
	// What the last batch took; pools let go of theirs at the second time.
	runtime.GC()
	debug.FreeOSMemory()
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	poll := time.NewTicker(u.Poll)
	defer poll.Stop()
	looked, asked := time.Now(), time.Now()
	ask := tailnetEvery
	if failed != nil {
		ask = 3 * u.Poll
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-deadline.C:
			return
		case <-poll.C:
		}
		u.Alive()
		now, due := u.changed(), u.OutboxDir == "" || time.Since(looked) >= lookEvery
		if u.Tailnet != nil && time.Since(asked) >= ask {
			asked = time.Now()
			if u.tailnetUp() && failed != nil {
				return
			}
		}
		if now == u.seen && !due {
			continue
		}
		looked, u.seen = time.Now(), now
		if u.wanted(failed) {
			return
		}
	}
}

type folderTimes [2]time.Time

// changed is when the watched folders last changed: cheaper than reading them.
func (u *Uplink) changed() (stamp folderTimes) {
	for i, dir := range []string{u.OutboxDir, u.RelayOutDir} {
		if dir == "" {
			continue
		}
		if info, err := os.Stat(dir); err == nil {
			stamp[i] = info.ModTime()
		}
	}
	return stamp
}

func (u *Uplink) wanted(failed error) bool {
	sealed, err := u.relayable()
	if err == nil && !slices.Equal(u.relayRefused(), u.status.RelayRefused) {
		u.writeStatus() // muster took a refused file back, and may bring it again
	}
	if failed != nil {
		_, err := os.Lstat(u.EnrollmentFile)
		return errors.Is(failed, errNotEnrolled) && err == nil
	}
	reports, err := u.waiting()
	return err == nil && len(reports)+len(sealed) > 0
}

// tailnetUp keeps the tailnet's state in the status, and reports whether the node
// has just got through.
func (u *Uplink) tailnetUp() bool {
	before := u.status.Tailnet
	now := u.tailnet()
	if before != nil && before.State == now.State && before.LoginURL == now.LoginURL {
		return false
	}
	u.writeStatus()
	return now.State == running
}

func (u *Uplink) tailnet() muster.TailnetStatus {
	t := u.Tailnet()
	u.status.Tailnet = &t
	return t
}

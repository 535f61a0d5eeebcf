package uplink

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

// start runs the uplink until the test ends, and gives a way to wait for something.
func start(t *testing.T, u *Uplink) (until func(what string, true func() bool)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return func(what string, true func() bool) {
		t.Helper()
		for range 2000 {
			if true() {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatal("never: " + what)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// A sealed file is carried when it comes, not at the next check-in.
func TestNewMailIsNoticed(t *testing.T) {
	l := newLab(t, 0)
	l.collector.Return = func([]byte) []byte { return []byte("return") }
	u := l.uplink()
	u.OutboxDir = l.path("outbox")
	if err := os.Mkdir(u.OutboxDir, 0o700); err != nil {
		t.Fatal(err)
	}
	var alive, ready atomic.Int64
	u.Alive, u.Ready = func() { alive.Add(1) }, func() { ready.Add(1) }
	until := start(t, u)
	until("a first contact", func() bool { return exists(l.path("status.json")) })
	before := alive.Load()
	until("it is alive", func() bool { return alive.Load() > before+3 && ready.Load() == 1 })
	digest := l.seal("a.courier", "sealed")
	until("the sealed file is carried", func() bool { return exists(l.path("relay", "in", digest+".return")) })
}

// Who starts before the first audit carries its report without waiting long.
func TestFirstEnrollmentIsNoticed(t *testing.T) {
	l := newLab(t, 1)
	enrollment, err := os.ReadFile(l.path("enrollment.cose"))
	if err = errors.Join(err, os.Remove(l.path("enrollment.cose"))); err != nil {
		t.Fatal(err)
	}
	u := l.uplink()
	u.OutboxDir = l.dir
	until := start(t, u)
	until("it says what is missing", func() bool {
		return exists(l.path("status.json")) && strings.Contains(l.status().Error, "run muster audit once")
	})
	if err := os.WriteFile(l.path("enrollment.cose"), enrollment, 0o600); err != nil {
		t.Fatal(err)
	}
	until("the report is carried", func() bool { return len(l.receipts()) == 1 })
}

// A tailnet that is down is no error that ends anything; the status file says
// how it stands, and when it comes up mail is carried at once.
func TestTailnetComesLate(t *testing.T) {
	l := newLab(t, 1)
	var now atomic.Pointer[muster.TailnetStatus]
	now.Store(&muster.TailnetStatus{State: "starting"})
	u := l.uplink()
	u.Tailnet = func() muster.TailnetStatus { return *now.Load() }
	until := start(t, u)
	shows := func(state, words string) func() bool {
		return func() bool {
			if !exists(l.path("status.json")) {
				return false
			}
			s := l.status()
			return s.Tailnet != nil && s.Tailnet.State == state && strings.Contains(s.Error, words)
		}
	}
	until("it starts", shows("starting", "not in the tailnet yet"))
	now.Store(&muster.TailnetStatus{State: "needs_login", LoginURL: "https://login.example/a/1"})
	until("it needs a login", shows("needs_login", ""))
	now.Store(&muster.TailnetStatus{State: "running", Name: "muster-pc"})
	until("the report is carried", func() bool {
		return len(l.receipts()) == 1 && shows("running", "")() && l.status().Error == ""
	})
}

// What changes between two contacts shows in the status file.
func TestTailnetStatusIsKept(t *testing.T) {
	l := newLab(t, 0)
	u := l.uplink()
	now := muster.TailnetStatus{State: "running"}
	u.Tailnet = func() muster.TailnetStatus { return now }
	if err := u.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"expired", "running", "running"} {
		before := l.status().Tailnet.State
		now.State = state
		if up := u.tailnetUp(); up != (before != state && state == "running") || l.status().Tailnet.State != state {
			t.Errorf("from %s to %s: up %v, status %+v", before, state, up, l.status().Tailnet)
		}
	}
}

func TestTailnetErrorsSayWhatToDo(t *testing.T) {
	for words, status := range map[string]muster.TailnetStatus{
		"the key has expired":  {State: "expired", Problems: []string{"the key has expired"}},
		"open https://login[3": {State: "needs_login", LoginURL: "https://login\x1b[31m", Problems: []string{"sign in"}},
		"tailnet yet":          {State: "starting"},
	} {
		l := newLab(t, 0)
		u := l.uplink()
		u.Tailnet = func() muster.TailnetStatus { return status }
		if err := u.Once(t.Context()); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%+v: %v", status, err)
		}
	}
}

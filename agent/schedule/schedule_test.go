package schedule

import (
	"fmt"
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	last := time.Date(2026, 11, 3, 8, 59, 30, 0, time.UTC)
	minutes := map[int]bool{}
	for i := range 200 {
		host := fmt.Sprint("host", i)
		next := Next(last, host)
		if wait := next.Sub(last); wait <= 0 || wait > Every {
			t.Fatalf("%s waits %v", host, wait)
		}
		if again := Next(next, host); again.Sub(next) != Every {
			t.Fatalf("%s: %v, then %v", host, next, again)
		}
		if late := next.Sub(next.Truncate(Every)); late >= Splay {
			t.Fatalf("%s is %v after the hour", host, late)
		}
		minutes[next.Minute()] = true
		if first := First(last, host); first.Before(last.Add(AfterStart)) || !first.Before(last.Add(AfterStart+StartSplay)) {
			t.Fatalf("%s is first audited at %v", host, first)
		}
	}
	if len(minutes) < 10 {
		t.Errorf("200 hosts are audited in %d minutes only", len(minutes))
	}
}

func TestWait(t *testing.T) {
	now := time.Date(2026, 11, 3, 8, 0, 0, 0, time.UTC)
	for since, want := range map[time.Duration]time.Duration{
		time.Hour: 0, Gap: 0, time.Minute: Gap - time.Minute, -time.Hour: 0,
	} {
		if got := Wait(now.Add(-since), now); got != want {
			t.Errorf("%v after the last: waits %v, want %v", since, got, want)
		}
	}
	if got := Wait(time.Time{}, now); got != 0 {
		t.Errorf("never audited: waits %v", got)
	}
}

func TestDue(t *testing.T) {
	now := time.Date(2026, 11, 3, 8, 0, 0, 0, time.UTC)
	for in, want := range map[time.Duration]bool{-time.Second: true, 0: true, time.Second: false, Every: false, 30 * 24 * time.Hour: true} {
		if got := Due(now.Add(in), now); got != want {
			t.Errorf("planned in %v: %v", in, got)
		}
	}
}

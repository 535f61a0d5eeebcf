package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

// clockBack: after a roll-up the clock is set back, and what comes then is counted for ever.
func clockBack(t *testing.T, f *fixture) {
	a, b := f.enroll(1, "17031", muster.Workstation, true), f.enroll(2, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(a, 1, pass), f.report(b, 1, pass))
	f.now = f.now.Add(2 * time.Hour)
	must(t, f.Rollup(f.ctx, f.now))
	shown := f.now.Add(-time.Microsecond)
	before := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{At: shown}))
	f.now = f.now.Add(-time.Hour)
	f.commit(muster.OutcomeStored, f.report(b, 2, fail))
	c := f.enroll(3, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(c, 1, fail))
	f.now = f.now.Add(2 * time.Hour)
	must(t, f.Rollup(f.ctx, f.now))
	f.now = f.now.Add(time.Minute)
	want := []muster.CountyStanding{{County: "17031", Hosts: 3, Meeting: 1, Failing: 2}}
	if diff := cmp.Diff(want, get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{}))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{At: shown}))); diff != "" {
		t.Error(diff)
	}
	if n := len(get[muster.HostPage](t)(f.Hosts(f.ctx, muster.View{At: shown}, muster.HostQuery{})).Hosts); n != 2 {
		t.Errorf("%d hosts are listed where 2 were", n)
	}
	// One that was a week ahead is believed no more.
	f.now = f.now.AddDate(0, 0, 7)
	must(t, f.Rollup(f.ctx, f.now))
	f.now = f.now.AddDate(0, 0, -7).Add(time.Minute)
	f.commit(muster.OutcomeStored, f.report(c, 2, pass))
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, c)); !h.LastSeen.Equal(f.now) {
		t.Errorf("the host was seen at %s, want %s", h.LastSeen, f.now)
	}
	f.now = f.now.Add(time.Minute)
	must(t, f.Rollup(f.ctx, f.now))
	want[0].Meeting, want[0].Failing = 2, 1
	if diff := cmp.Diff(want, get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{}))); diff != "" {
		t.Error(diff)
	}
}

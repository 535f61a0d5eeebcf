package storetest

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

// past: a courier comes after three weeks. What was shown then and what is known now
// about then are two answers.
func past(t *testing.T, f *fixture) {
	start := f.now
	day := func(n int) time.Time { return start.AddDate(0, 0, n) }
	ems := f.enroll(1, "17031", muster.EMS, true)
	f.commit(muster.OutcomeStored, f.report(ems, 1, pass))
	f.now = day(20)
	var box []muster.Accepted
	for i, made := range []struct {
		day    int
		status muster.Status
	}{{2, fail}, {5, pass}, {9, fail}} {
		r := f.report(ems, uint64(2+i), made.status)
		r.Header.CollectedAt, r.Way = day(made.day), muster.WayCourier
		box = append(box, r)
	}
	f.commit(muster.OutcomeStored, box...)

	for _, c := range []struct {
		day       int
		then, now uint64 // the newest report
		meets     bool
	}{{1, 1, 1, true}, {3, 1, 2, false}, {6, 1, 3, true}, {10, 1, 4, false}, {21, 4, 4, false}} {
		f.now = day(22)
		at := day(c.day)
		then := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{At: at}, ems))
		now := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{At: at, Known: muster.KnownNow}, ems))
		if then.Seq != c.then || then.Meets() != (c.then == 1) || now.Seq != c.now || now.Meets() != c.meets {
			t.Errorf("day %d was shown by report %d, meets %v; and is known by report %d, meets %v", c.day, then.Seq, then.Meets(), now.Seq, now.Meets())
		}
		findings := get[[]muster.FindingStanding](t)(f.CountyFindings(f.ctx, muster.View{At: at, Known: muster.KnownNow}, "17031"))
		if (len(findings) == 0) != c.meets {
			t.Errorf("day %d: findings %+v", c.day, findings)
		}
	}
	if tr := get[[]muster.Transition](t)(f.HostTransitions(f.ctx, muster.View{At: day(10)}, ems, 9)); len(tr) != 1 || !tr[0].First {
		t.Errorf("on day 10 these transitions were shown: %+v", tr)
	}
	change := func(seq uint64, from, to muster.Status) muster.Transition {
		return muster.Transition{Host: ems, Hostname: "named", County: "17031", Control: "C1", From: from, To: to, Seq: seq,
			CollectedAt: box[seq-2].Header.CollectedAt, ReceivedAt: day(20)}
	}
	if diff := cmp.Diff([]muster.Transition{change(4, pass, fail), change(3, fail, pass), change(2, pass, fail)},
		get[[]muster.Transition](t)(f.Changes(f.ctx, muster.View{}, "17031", 9))); diff != "" {
		t.Error(diff)
	}

	for _, known := range []muster.Knowledge{muster.KnownThen, muster.KnownNow} {
		before := muster.View{At: start.Add(-time.Hour), Known: known}
		if err := second(f.Host(f.ctx, before, ems)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it was there before it enrolled: %v", err)
		}
		if c := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, before)); len(c) != 0 {
			t.Errorf("counties before anyone enrolled: %+v", c)
		}
	}

	// It moves: its past stays where it was.
	e := get[muster.Enrolled](t)(f.Enrolled(f.ctx, ems))
	e.County = "17043"
	get[muster.HostState](t)(f.Enroll(f.ctx, e, true, f.now))
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{At: day(21)}, ems)); h.County != "17031" {
		t.Errorf("on day 21 it was in %s", h.County)
	}
	if n := len(f.hosts(muster.HostQuery{County: "17031"})); n != 0 {
		t.Errorf("%d hosts are where it was", n)
	}
	if p := get[muster.HostPage](t)(f.Hosts(f.ctx, muster.View{At: day(21)}, muster.HostQuery{County: "17031"})); len(p.Hosts) != 1 {
		t.Errorf("on day 21 there were %+v", p.Hosts)
	}
}

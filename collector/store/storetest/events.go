package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

// happened reads every event, the oldest first, in small pages.
func (f *fixture) happened(county muster.County) (list []muster.Event) {
	f.Helper()
	for before := int64(0); ; before = list[len(list)-1].ID {
		page := get[[]muster.Event](f.T)(f.Events(f.ctx, county, before, 3))
		if len(page) == 0 {
			slices.Reverse(list)
			return list
		}
		list = append(list, page...)
	}
}

// events: what happens is noted once, in its order.
func events(t *testing.T, f *fixture) {
	const county = muster.County("17031")
	var want []muster.Event
	note := func(kind string, host muster.HostID) {
		want = append(want, muster.Event{At: f.now, Kind: kind, County: county, Host: host})
	}
	later := func() { f.now = f.now.Add(time.Hour) }

	f.speak(1, "", "m", false)
	a, b := HostID(1), HostID(2)
	note(muster.EventPending, a)
	later()
	must(t, f.approve(a))
	note(muster.EventApproved, a)
	later()
	f.commit(muster.OutcomeStored, f.report(a, 1, pass))
	later()
	f.commit(muster.OutcomeStored, f.report(a, 2, fail))
	note(muster.EventFails, a)
	later()
	f.commit(muster.OutcomeStored, f.report(a, 5, pass))
	gap := f.now
	later()
	other := f.report(a, 5, fail)
	other.Envelope.Digest[0]++
	f.commit(muster.OutcomeConflict, other)
	f.commit(muster.OutcomeConflict, other)
	note(muster.EventClone, a)
	f.now = f.now.Add(muster.WorkstationStaleAfter + 2*time.Hour)
	must(t, f.Rollup(f.ctx, f.now))
	must(t, f.Rollup(f.ctx, f.now))
	stale := f.now
	later()
	must(t, f.Rollup(f.ctx, f.now))
	f.commit(muster.OutcomeStored, f.report(a, 6, pass))
	note(muster.EventReturned, a)
	f.speak(2, "", "m", true) // the same machine, set up again
	later()
	must(t, f.Retire(f.ctx, b, f.entry("retire", b)))
	note(muster.EventRetired, b)

	got := f.happened(county)
	kinds := map[string]int{}
	var exact []muster.Event
	for i, e := range got {
		kinds[e.Kind]++
		if e.Text == "" || i > 0 && e.ID <= got[i-1].ID {
			t.Errorf("event %d: %+v", i, e)
		}
		// A gap and the change of one report have no order; the others have nothing beside them.
		switch {
		case e.Kind == muster.EventGap && e.At != gap, e.Kind == muster.EventStale && e.At.After(stale), e.County != county:
			t.Errorf("%+v", e)
		case !slices.Contains([]string{muster.EventGap, muster.EventMeets, muster.EventStale, muster.EventReplaced, muster.EventApproved}, e.Kind) ||
			e.Kind == muster.EventApproved && e.Host == a:
			e.ID, e.Text = 0, ""
			exact = append(exact, e)
		}
	}
	if diff := cmp.Diff(want, exact); diff != "" {
		t.Error(diff)
	}
	for kind, n := range map[string]int{muster.EventGap: 1, muster.EventMeets: 1, muster.EventStale: 1, muster.EventReplaced: 1} {
		if kinds[kind] != n {
			t.Errorf("%d of %s, want %d", kinds[kind], kind, n)
		}
	}
	if other := f.happened("17043"); len(other) != 0 {
		t.Errorf("in another county: %+v", other)
	}
	f.now = f.now.Add(time.Hour)
	must(t, f.Publish(f.ctx, f.release(1, "one", muster.RingAll)))
	if all := f.happened(""); len(all) != len(got)+1 || all[len(got)].Kind != muster.EventPublished {
		t.Errorf("in the state: %+v", all)
	}
}

// deliveries: each hook is told once of what it wants.
func deliveries(t *testing.T, f *fixture) {
	start := f.now
	f.enroll(1, "17031", muster.Workstation, false)
	must(t, f.approve(HostID(1)))
	hooks := func(e muster.Event) []string {
		if e.Kind == muster.EventPending {
			return []string{"chat", "desk"}
		}
		return []string{"desk"}
	}
	for range 2 {
		must(t, f.Distribute(f.ctx, hooks))
	}
	due := func() (list []muster.Delivery) {
		t.Helper()
		return get[[]muster.Delivery](t)(f.Due(f.ctx, 9))
	}
	list := due()
	got := map[string]int{}
	for _, d := range list {
		got[d.Hook+" "+d.Kind]++
		if d.Attempts != 0 || !d.Done.IsZero() || d.Host != HostID(1) || d.Text == "" {
			t.Errorf("%+v", d)
		}
	}
	if diff := cmp.Diff(map[string]int{"chat host_pending": 1, "desk host_pending": 1, "desk host_approved": 1}, got); diff != "" {
		t.Fatal(diff)
	}
	if one := get[[]muster.Delivery](t)(f.Due(f.ctx, 1)); len(one) != 2 || one[0].Hook == one[1].Hook {
		t.Errorf("at most one of each hook, however many another has: %+v", one)
	}

	again, taken, given := list[0], list[1], list[2]
	again.Attempts, again.Status, again.Error, again.NextAt = 1, 503, "busy", start.Add(time.Minute)
	taken.Attempts, taken.Status, taken.Done, taken.NextAt = 1, 200, start, time.Time{}
	given.Attempts, given.Error, given.NextAt = 9, "no such host", time.Time{} // for the last time
	for _, d := range []muster.Delivery{again, taken, given} {
		must(t, f.Delivered(f.ctx, d))
	}
	if list := due(); len(list) != 0 {
		t.Errorf("due too early: %+v", list)
	}
	f.now = start.Add(time.Minute)
	if diff := cmp.Diff([]muster.Delivery{again}, due()); diff != "" {
		t.Error(diff)
	}
	all := get[[]muster.Delivery](t)(f.Deliveries(f.ctx, "", 9))
	for i := range all {
		if i > 0 && all[i].ID > all[i-1].ID {
			t.Errorf("not the newest first: %+v", all)
		}
	}
	byHook := func(d muster.Delivery) string { return d.Hook + d.Kind }
	less := func(a, b muster.Delivery) int { return map[bool]int{true: -1, false: 1}[byHook(a) < byHook(b)] }
	want := []muster.Delivery{again, taken, given}
	slices.SortFunc(all, less)
	slices.SortFunc(want, less)
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
	if chat := get[[]muster.Delivery](t)(f.Deliveries(f.ctx, "chat", 9)); len(chat) != 1 || chat[0].Kind != muster.EventPending {
		t.Errorf("of one hook: %+v", chat)
	}
}

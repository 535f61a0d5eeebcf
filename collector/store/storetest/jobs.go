package storetest

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

// rollup: days are kept once, and stay as they were shown.
func rollup(t *testing.T, f *fixture) {
	midnight := f.now.Truncate(24 * time.Hour)
	day := func(n int) time.Time { return midnight.AddDate(0, 0, n) }
	days := func(county muster.County) []muster.DayStanding {
		t.Helper()
		return get[[]muster.DayStanding](t)(f.Days(f.ctx, county, day(-9), day(9)))
	}
	a := f.enroll(1, "17031", muster.Workstation, true)
	f.enroll(2, "17043", muster.Workstation, false)
	f.commit(muster.OutcomeStored, f.report(a, 1, pass))
	must(t, f.Rollup(f.ctx, f.now))
	if d := days("17031"); len(d) != 0 {
		t.Errorf("no day has ended: %+v", d)
	}
	f.now = day(1).Add(time.Hour)
	f.commit(muster.OutcomeStored, f.report(a, 2, fail))
	f.now = day(3).Add(time.Hour)
	f.commit(muster.OutcomeStored, f.report(a, 4, unknown))
	for range 2 {
		must(t, f.Rollup(f.ctx, f.now))
	}
	meets, fails := muster.CountyStanding{County: "17031", Hosts: 1, Meeting: 1}, muster.CountyStanding{County: "17031", Hosts: 1, Failing: 1}
	if diff := cmp.Diff([]muster.DayStanding{{Day: day(0), CountyStanding: meets}, {Day: day(1), CountyStanding: fails}, {Day: day(2), CountyStanding: fails}}, days("17031")); diff != "" {
		t.Error(diff)
	}
	if d := get[[]muster.DayStanding](t)(f.Days(f.ctx, "17031", day(1), day(1))); len(d) != 1 || d[0].Day != day(1) {
		t.Errorf("one day: %+v", d)
	}
	state := days("")
	want := muster.CountyStanding{Hosts: 1, Failing: 1, Pending: 1}
	if len(state) != 3 || state[2].CountyStanding != want {
		t.Errorf("the state: %+v, at last want %+v", state, want)
	}
	// What comes late is told in hindsight only.
	before := days("17031")
	late := f.report(a, 3, pass)
	late.Header.CollectedAt = day(1).Add(2 * time.Hour)
	f.now = f.now.Add(time.Hour)
	f.commit(muster.OutcomeStored, late)
	f.now = f.now.Add(time.Minute)
	must(t, f.Rollup(f.ctx, f.now))
	if diff := cmp.Diff(before, days("17031")); diff != "" {
		t.Error(diff)
	}
	then := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{At: day(3)}))
	now := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{At: day(3), Known: muster.KnownNow}))
	if !slices.Contains(then, fails) || slices.Contains(now, fails) {
		t.Errorf("then: %+v, now: %+v", then, now)
	}
}

// retain: evidence goes by the month, and everything else stays.
func retain(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	must(t, f.Distribute(f.ctx, func(muster.Event) []string { return []string{"desk"} }))
	f.now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	var all []muster.Accepted
	for seq := uint64(1); seq <= 6; seq++ {
		r := f.report(id, seq, muster.Status(seq%4))
		if seq == 2 || seq == 3 || seq == 5 || seq == 6 { // 2 and 3 rest on 1, 5 and 6 on 4
			r.Envelope.BaseSeq, r.Envelope.Base, r.Envelope.Depth = seq-1, digest(id, seq-1), int(seq-1)%3
			r.Envelope.Month = all[seq-2].Envelope.Month
		}
		all = append(all, r)
		f.commit(muster.OutcomeStored, r)
		f.now = f.now.AddDate(0, 0, 1).Add(time.Duration(seq/3) * 24 * time.Hour)
	}
	if all[2].Envelope.Month != 202611 || all[5].Envelope.Month != 202612 {
		t.Fatalf("months %d and %d", all[2].Envelope.Month, all[5].Envelope.Month)
	}
	before := get[[]muster.Transition](t)(f.HostTransitions(f.ctx, muster.View{}, id, 99))
	if n := get[int](t)(f.Retain(f.ctx, time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC))); n != 0 {
		t.Errorf("%d envelopes of a month that has not ended went", n)
	}
	if n := get[int](t)(f.Retain(f.ctx, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))); n != 3 {
		t.Errorf("%d envelopes went, want 3", n)
	}
	for _, r := range all {
		chain, err := f.Envelope(f.ctx, id, r.Header.Seq)
		switch {
		case r.Header.Seq <= 3 && !errors.Is(err, fs.ErrNotExist):
			t.Errorf("report %d is still there: %v", r.Header.Seq, err)
		case r.Header.Seq > 3 && (err != nil || len(chain) != int(r.Header.Seq)-3 || chain[len(chain)-1].BaseSeq != 0):
			t.Errorf("report %d: a chain of %d: %v", r.Header.Seq, len(chain), err)
		}
	}
	f.commit(muster.OutcomeDuplicate, all...)
	other := f.report(id, 1, pass)
	other.Envelope.Digest[0]++
	f.commit(muster.OutcomeConflict, other)
	for _, r := range get[[]muster.ReportStanding](t)(f.HostReports(f.ctx, id, 0, 99)) {
		if r.Evidence != (r.Seq > 3) {
			t.Errorf("report %d: %+v", r.Seq, r)
		}
	}
	if diff := cmp.Diff(before, get[[]muster.Transition](t)(f.HostTransitions(f.ctx, muster.View{}, id, 99))); diff != "" {
		t.Error(diff)
	}

	d := get[[]muster.Delivery](t)(f.Due(f.ctx, 9))
	if len(d) != 0 {
		d[0].Done, d[0].NextAt = f.now, time.Time{}
		must(t, f.Delivered(f.ctx, d[0]))
	}
	kept := len(get[[]muster.Delivery](t)(f.Deliveries(f.ctx, "", 9)))
	get[int](t)(f.Retain(f.ctx, f.now.Add(time.Hour)))
	if n := len(get[[]muster.Delivery](t)(f.Deliveries(f.ctx, "", 9))); n != kept-len(d[:min(1, len(d))]) {
		t.Errorf("%d deliveries of %d stay", n, kept)
	}
}

// once: of two that would run a job at once, one does.
func once(t *testing.T, f *fixture) {
	broken := errors.New("broken")
	ran, err := f.Once(f.ctx, "a", func(ctx context.Context) error {
		if ran, err := f.Once(ctx, "a", func(context.Context) error { return broken }); ran || err != nil {
			t.Errorf("the same job runs twice: %v %v", ran, err)
		}
		if ran, err := f.Once(ctx, "b", func(context.Context) error { return nil }); !ran || err != nil {
			t.Errorf("another job: %v %v", ran, err)
		}
		return f.Log(ctx, f.entry("backup", "in a job"))
	})
	if !ran || err != nil {
		t.Errorf("the first: %v %v", ran, err)
	}
	for range 2 {
		if ran, err := f.Once(f.ctx, "a", func(context.Context) error { return broken }); !ran || !errors.Is(err, broken) {
			t.Errorf("after the first: %v %v", ran, err)
		}
	}
}

// watch: whoever looks learns where something changed, or that anything may have.
func watch(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	changes := f.Watch(ctx)
	told := func(county muster.County) {
		t.Helper()
		late := time.After(20 * time.Second)
		for {
			select {
			case c, ok := <-changes:
				if !ok {
					t.Fatal("it ended")
				}
				if len(c) == 0 || slices.Contains(c, county) {
					return
				}
			case <-late:
				t.Fatalf("nobody told of %s", county)
			}
		}
	}
	a := f.enroll(1, "17031", muster.Workstation, true)
	told("17031")
	f.commit(muster.OutcomeStored, f.report(a, 1, pass))
	told("17031")
	for seq := uint64(2); seq < 300; seq++ {
		f.commit(muster.OutcomeStored, f.report(a, seq, pass))
	}
	f.enroll(2, "17043", muster.Workstation, true)
	told("17043")
	must(t, f.SetContacts(f.ctx, "17045", []muster.Contact{{Name: "clerk"}}, f.entry("set_contacts", "17045")))
	told("17045")
	must(t, f.SetContacts(f.ctx, "17045", nil, f.entry("set_contacts", "17045")))
	told("17045")
	ask := get[int64](t)(f.Ask(f.ctx, muster.Ask{County: "17047", Control: "C1"}, f.entry("ask_waiver", "C1")))
	told("17047")
	must(t, f.Answer(f.ctx, ask, muster.AskGranted, "", f.entry("answer_ask", ask)))
	told("17047")
	cancel()
	for range changes { // until it is closed
	}
}

func about(t *testing.T, f *fixture) {
	must(t, f.Ping(f.ctx))
	a, err := f.About(f.ctx)
	if must(t, err); a.Database == "" || a.Schema <= 0 || a.Bytes <= 0 || a.Now.IsZero() {
		t.Errorf("%+v", a)
	}
}

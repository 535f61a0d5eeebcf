package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

func firstReport(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); !h.LastSeen.IsZero() || h.Meets() || h.Stale {
		t.Errorf("before its first report: %+v", h)
	}
	f.commit(muster.OutcomeStored, f.report(id, 1, pass, unknown))
	h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id))
	if h.Seq != 1 || h.LastSeen != f.now || h.FirstSeen != f.now || h.CollectedAt != f.now.Add(-time.Minute) ||
		h.Hostname != "named" || h.Agent != "2" || h.PolicyRevision != "r1" ||
		h.Summary != (muster.Summary{Pass: 1, Unknown: 1}) {
		t.Errorf("host: %+v", h)
	}
	for _, tr := range get[[]muster.Transition](t)(f.HostTransitions(f.ctx, muster.View{}, id, 9)) {
		if !tr.First || tr.Seq != 1 || tr.ReceivedAt != f.now {
			t.Errorf("transition: %+v", tr)
		}
	}
	if c := get[[]muster.Transition](t)(f.Changes(f.ctx, muster.View{}, "", 9)); len(c) != 0 {
		t.Errorf("a first report is no change: %+v", c)
	}
}

func onlyWhatDiffers(t *testing.T, f *fixture) {
	id, start := f.enroll(1, "17031", muster.Workstation, true), f.now
	f.commit(muster.OutcomeStored, f.report(id, 1, pass, fail, unknown))
	f.now = f.now.Add(time.Hour)
	f.commit(muster.OutcomeStored, f.report(id, 2, pass, fail, unknown))
	f.now = f.now.Add(time.Hour)
	changed := f.report(id, 3, pass, pass, unknown)
	changed.Verdicts[0].Evidence = []byte("otherwise")
	f.commit(muster.OutcomeStored, changed)
	want := []muster.FindingStanding{
		{Host: id, Control: "C1", Status: pass, Since: start},
		{Host: id, Control: "C2", Status: pass, Since: f.now},
		{Host: id, Control: "C3", Status: unknown, Since: start},
	}
	f.wantFindings(id, want)
	changes := get[[]muster.Transition](t)(f.Changes(f.ctx, muster.View{}, "", 9))
	if len(changes) != 1 || changes[0] != (muster.Transition{Host: id, Hostname: "named", County: "17031", Control: "C2", From: fail, To: pass, Seq: 3,
		CollectedAt: f.now.Add(-time.Minute), ReceivedAt: f.now}) {
		t.Errorf("changes: %+v", changes)
	}
	all := get[[]muster.Transition](t)(f.HostTransitions(f.ctx, muster.View{}, id, 2))
	if len(all) != 2 || all[0].Seq != 3 || all[1].Seq != 1 {
		t.Errorf("the newest two transitions: %+v", all)
	}
	// A waiver alone is no transition, and shows.
	waived := f.report(id, 4, pass, pass, unknown)
	waived.Verdicts[2].Waiver = "W1"
	f.commit(muster.OutcomeStored, waived)
	want[2].Waiver = "W1"
	f.wantFindings(id, want)
}

func (f *fixture) wantFindings(id muster.HostID, want []muster.FindingStanding) {
	f.Helper()
	got := get[[]muster.FindingStanding](f.T)(f.HostFindings(f.ctx, muster.View{}, id))
	slices.SortFunc(got, func(a, b muster.FindingStanding) int { return strings.Compare(a.Control, b.Control) })
	if !slices.Equal(got, want) {
		f.Errorf("findings:\n got %+v\nwant %+v", got, want)
	}
}

func removedControl(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass, fail))
	f.commit(muster.OutcomeStored, f.report(id, 2, pass))
	f.wantFindings(id, []muster.FindingStanding{{Host: id, Control: "C1", Status: pass, Since: f.now}})
	if c := get[[]muster.Transition](t)(f.Changes(f.ctx, muster.View{}, "", 9)); len(c) != 1 || c[0].Control != "C2" || c[0].To != na {
		t.Errorf("changes: %+v", c)
	}
}

func duplicate(t *testing.T, f *fixture) {
	id, start := f.enroll(1, "17031", muster.Workstation, true), f.now
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
	f.now = f.now.Add(time.Hour)
	if c := f.commit(muster.OutcomeDuplicate, f.report(id, 1, pass)); c[0].ReceivedAt != start {
		t.Errorf("a duplicate arrived at %s, the first at %s", c[0].ReceivedAt, start)
	}
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); h.LastSeen != start || h.Conflict {
		t.Errorf("a duplicate changes nothing: %+v", h)
	}
	r := f.report(id, 2, fail)
	got := get[[]muster.Committed](t)(f.Commit(f.ctx, []muster.Accepted{r, r, r}))
	if got[0].Outcome != muster.OutcomeStored || got[1].Outcome != muster.OutcomeDuplicate || got[2].Outcome != muster.OutcomeDuplicate {
		t.Errorf("three times in one batch: %+v", got)
	}
}

func conflict(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
	other := f.report(id, 1, fail)
	other.Envelope.Digest[0]++
	f.commit(muster.OutcomeConflict, other)
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); !h.Conflict || h.Summary.Pass != 1 {
		t.Errorf("host: %+v", h)
	}
	if e := get[[]muster.StoredEnvelope](t)(f.Envelope(f.ctx, id, 1)); e[0].Digest != digest(id, 1) {
		t.Error("the first report was replaced")
	}
	f.commit(muster.OutcomeStored, f.report(id, 2, pass))
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); !h.Conflict || h.Seq != 2 {
		t.Errorf("the flag stays: %+v", h)
	}
}

func brokenChain(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
	r := f.report(id, 2, pass)
	r.Header.Prev[0]++
	f.commit(muster.OutcomeStored, r)
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); !h.Conflict || h.Seq != 2 {
		t.Errorf("it follows another report than the one that is here: %+v", h)
	}
}

func lateReport(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
	f.commit(muster.OutcomeStored, f.report(id, 4, pass))
	f.now = f.now.Add(time.Hour)
	f.commit(muster.OutcomeStored, f.report(id, 3, fail), f.report(id, 2, fail))
	h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id))
	if h.Seq != 4 || !h.Meets() || h.Conflict || h.LastSeen != f.now.Add(-time.Hour) {
		t.Errorf("host: %+v", h)
	}
	if c := get[[]muster.Transition](t)(f.Changes(f.ctx, muster.View{}, "", 9)); len(c) != 0 {
		t.Errorf("changes: %+v", c)
	}
	if tr := get[[]muster.Transition](t)(f.HostTransitions(f.ctx, muster.View{}, id, 9)); len(tr) != 1 || tr[0].Seq != 1 {
		t.Errorf("transitions: %+v", tr)
	}
	told := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{At: f.now, Known: muster.KnownNow}, id))
	if told.Seq != 4 || told.LastSeen != h.LastSeen {
		t.Errorf("in hindsight it is %+v", told)
	}
	if e := get[[]muster.StoredEnvelope](t)(f.Envelope(f.ctx, id, 2)); e[0].Digest != digest(id, 2) {
		t.Error("a late report is evidence nonetheless")
	}
	if e := get[[]muster.StoredEnvelope](t)(f.Envelope(f.ctx, id, 0)); e[0].Seq != 4 {
		t.Errorf("the newest is %d", e[0].Seq)
	}
	f.commit(muster.OutcomeDuplicate, f.report(id, 3, fail))
}

func oneTransaction(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	if _, err := f.Commit(f.ctx, []muster.Accepted{f.report(id, 1, pass), f.report(HostID(9), 1, pass)}); err == nil {
		t.Fatal("a host that never enrolled has a report stored")
	}
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); h.Seq != 0 {
		t.Error("half of a failed batch was stored")
	}
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
}

func chains(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	var all []muster.Accepted
	for seq := uint64(1); seq <= 5; seq++ {
		r := f.report(id, seq, pass)
		if seq != 1 && seq != 4 {
			r.Envelope.BaseSeq, r.Envelope.Base, r.Envelope.Depth = seq-1, digest(id, seq-1), 1
		}
		all = append(all, r)
	}
	f.commit(muster.OutcomeStored, all...)
	for seq, want := range map[uint64][]uint64{1: {1}, 3: {3, 2, 1}, 5: {5, 4}} {
		var bySeq, byDigest []uint64
		for _, e := range get[[]muster.StoredEnvelope](t)(f.Envelope(f.ctx, id, seq)) {
			bySeq = append(bySeq, e.Seq)
			w := all[e.Seq-1].Envelope
			if e.Digest != w.Digest || e.Base != w.Base || e.BaseSeq != w.BaseSeq || e.Depth != w.Depth || e.Size != w.Size || string(e.Body) != string(w.Body) {
				t.Errorf("stored %+v, read %+v", w, e)
			}
		}
		for _, e := range get[[]muster.StoredEnvelope](t)(f.Base(f.ctx, id, digest(id, seq))) {
			byDigest = append(byDigest, e.Seq)
		}
		if !slices.Equal(bySeq, want) || !slices.Equal(byDigest, want) {
			t.Errorf("report %d: chain %v by number, %v by digest, want %v", seq, bySeq, byDigest, want)
		}
	}
}

func hostReports(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	start := f.now
	made := map[uint64]muster.Accepted{}
	for _, seq := range []uint64{1, 2, 5, 4} {
		f.now = f.now.Add(time.Hour)
		made[seq] = f.report(id, seq, pass)
		f.commit(muster.OutcomeStored, made[seq])
	}
	f.now = f.now.Add(time.Hour)
	byCourier := f.report(id, 6, pass)
	byCourier.Way, byCourier.Header.CollectedAt = muster.WayCourier, start.Add(-time.Minute)
	made[6] = byCourier
	f.commit(muster.OutcomeStored, byCourier)
	want := func(seq uint64, hour int, late bool) muster.ReportStanding {
		return muster.ReportStanding{Host: id, Seq: seq, Digest: digest(id, seq), ReceivedAt: start.Add(time.Duration(hour) * time.Hour),
			CollectedAt: made[seq].Header.CollectedAt, Late: late, Way: made[seq].Way, Evidence: true}
	}
	all := []muster.ReportStanding{want(6, 5, false), want(5, 3, false), want(4, 4, true), want(2, 2, false), want(1, 1, false)}
	var got []muster.ReportStanding
	for before := uint64(0); ; before = got[len(got)-1].Seq {
		page := get[[]muster.ReportStanding](t)(f.HostReports(f.ctx, id, before, 2))
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	if diff := cmp.Diff(all, got); diff != "" {
		t.Error(diff)
	}
}

// missingReports: numbers that were jumped are counted, except those that the host said
// it dropped, and until they come.
func missingReports(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	wantMissing := func(want uint64) {
		t.Helper()
		if h := f.standing(1); h.Missing != want {
			t.Errorf("%d are missing, want %d", h.Missing, want)
		}
	}
	wantMissing(0)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
	wantMissing(0)
	jumped := f.report(id, 7, pass)
	jumped.Header.Gap = []muster.SeqRange{{From: 2, To: 3}}
	f.commit(muster.OutcomeStored, jumped)
	wantMissing(3) // 4, 5, 6
	f.commit(muster.OutcomeDuplicate, jumped)
	f.now = f.now.Add(time.Hour)
	f.commit(muster.OutcomeStored, f.report(id, 5, pass), f.report(id, 8, pass))
	wantMissing(2)
	f.commit(muster.OutcomeStored, f.report(id, 4, pass), f.report(id, 6, pass))
	wantMissing(0)
}

// Package storetest is the suite that every store.Store must pass.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// Run runs the suite. open gives an empty store whose clock is now; the suite
// closes it.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) store.Store) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"EnrollAndApprove": enrollAndApprove, "Statements": statements, "PendingIsShownNowhere": pendingIsShownNowhere,
		"FirstReport": firstReport, "OnlyWhatDiffers": onlyWhatDiffers, "RemovedControl": removedControl,
		"Duplicate": duplicate, "Conflict": conflict, "BrokenChain": brokenChain, "LateReport": lateReport,
		"OneTransaction": oneTransaction, "Chains": chains, "Stale": stale, "Standing": standing, "Counting": counting,
		"Lists": lists, "Policies": policies, "Rings": rings, "PolicyEffect": policyEffect, "Custody": custody, "AuditLog": auditLog, "Concurrent": concurrent,
		"Clones": clones, "Moves": moves, "Reimaged": reimaged, "SlowClockLivesOn": slowClockLivesOn, "Impostors": impostors, "Audits": audits,
	} {
		t.Run(name, func(t *testing.T) {
			f := &fixture{T: t, ctx: t.Context(), now: time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)}
			f.Store = open(t, func() time.Time { return f.now })
			t.Cleanup(func() {
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			})
			test(t, f)
		})
	}
}

type fixture struct {
	*testing.T
	store.Store
	ctx context.Context
	now time.Time
}

// HostID invents a valid host id.
func HostID(n int) muster.HostID { return muster.NewHostID(fmt.Appendf(nil, "host %d", n)) }

func (f *fixture) enroll(n int, county muster.County, profile muster.Profile, approved bool) muster.HostID {
	f.Helper()
	id := HostID(n)
	state, err := f.Enroll(f.ctx, muster.Enrolled{
		Host:      muster.Host{ID: id, Hostname: fmt.Sprint("pc", n), County: county, Profile: profile, Platform: muster.Linux},
		PublicKey: []byte("key of " + id), Agent: "1",
	}, approved, f.now, f.now)
	must(f.T, err)
	if want := map[bool]muster.HostState{true: muster.HostActive, false: muster.HostPending}[approved]; state != want {
		f.Fatalf("state is %s, want %s", state, want)
	}
	return id
}

// report makes an accepted report; statuses are those of C1, C2, ….
func (f *fixture) report(id muster.HostID, seq uint64, statuses ...muster.Status) muster.Accepted {
	a := muster.Accepted{
		Header: muster.Header{Schema: 1, Host: id, Seq: seq, Hostname: "named", CollectedAt: f.now.Add(-time.Minute),
			Agent: "2", PolicyRevision: "r1"},
		ReceivedAt: f.now,
		Envelope:   muster.StoredEnvelope{Seq: seq, Size: 9, Body: fmt.Appendf(nil, "body of %s %d", id, seq)},
	}
	if seq > 1 {
		a.Header.Prev = digest(id, seq-1)
	}
	a.Envelope.Digest = digest(id, seq)
	var findings []muster.Finding
	for i, s := range statuses {
		c := fmt.Sprint("C", i+1)
		a.Verdicts = append(a.Verdicts, muster.Verdict{Control: c, Status: s, Evidence: []byte("evidence")})
		findings = append(findings, muster.Finding{Control: c, Status: s, Severity: muster.SeverityCritical})
		a.GateFails = a.GateFails || s == muster.StatusFail
	}
	a.Summary = muster.Summarize(findings)
	return a
}

func digest(id muster.HostID, seq uint64) muster.Digest {
	return sha256.Sum256(fmt.Append(nil, id, seq))
}

// commit expects the outcome for every report.
func (f *fixture) commit(want muster.StoreOutcome, reports ...muster.Accepted) []muster.Committed {
	f.Helper()
	got, err := f.Commit(f.ctx, reports)
	must(f.T, err)
	if len(got) != len(reports) {
		f.Fatalf("%d results for %d reports", len(got), len(reports))
	}
	for i, c := range got {
		if c.Outcome != want {
			f.Fatalf("report %d: outcome %d, want %d", i, c.Outcome, want)
		}
	}
	return got
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get fails the test on an error.
func get[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		must(t, err)
		return v
	}
}

const (
	unknown = muster.StatusUnknown
	pass    = muster.StatusPass
	fail    = muster.StatusFail
	na      = muster.StatusNotApplicable
)

func enrollAndApprove(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, false)
	e := get[muster.Enrolled](t)(f.Enrolled(f.ctx, id))
	if e.County != "17031" || string(e.PublicKey) != "key of "+string(id) || e.State != muster.HostPending {
		t.Errorf("enrolled as %+v", e)
	}
	must(t, f.Approve(f.ctx, id, "ciso", f.now))
	must(t, f.Approve(f.ctx, id, "ciso", f.now))
	if log := get[[]muster.LogEntry](t)(f.AuditLog(f.ctx, 9)); len(log) != 1 || log[0].Action != "approve" || log[0].Object != string(id) {
		t.Errorf("approved twice, logged %+v", log)
	}
	for _, err := range []error{
		f.Approve(f.ctx, HostID(9), "ciso", f.now),
		second(f.Enrolled(f.ctx, HostID(9))), second(f.Host(f.ctx, HostID(9))),
		second(f.Envelope(f.ctx, HostID(9), 0)), second(f.Envelope(f.ctx, HostID(9), 1)),
		second(f.Base(f.ctx, HostID(9), muster.Digest{1})),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error is %v, want one that is fs.ErrNotExist", err)
		}
	}
}

// statements: the newest one counts, whatever comes after it.
func statements(t *testing.T, f *fixture) {
	id, first := f.enroll(1, "17031", muster.Workstation, true), f.now
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
	e := get[muster.Enrolled](t)(f.Enrolled(f.ctx, id))
	say := func(e muster.Enrolled, madeAt time.Time, approved bool, want muster.HostState) {
		t.Helper()
		if s := get[muster.HostState](t)(f.Enroll(f.ctx, e, approved, madeAt, f.now)); s != want {
			t.Errorf("the host is %s, want %s", s, want)
		}
	}
	refused := func(e muster.Enrolled, madeAt time.Time) {
		t.Helper()
		for _, approved := range []bool{false, true} {
			if s, err := f.Enroll(f.ctx, e, approved, madeAt, f.now); !errors.Is(err, fs.ErrExist) {
				t.Errorf("an old statement makes the host %s: %v", s, err)
			}
		}
		if h := get[muster.HostStanding](t)(f.Host(f.ctx, id)); h.County != "17031" || h.Profile != muster.Workstation {
			t.Errorf("an old statement moved the host: %+v", h)
		}
	}
	before := get[muster.HostStanding](t)(f.Host(f.ctx, id))
	e.Hostname, e.Agent = "an older name", "0"
	say(e, first, false, muster.HostActive)
	say(e, first.Add(-time.Hour), false, muster.HostActive)
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, id)); h != before {
		t.Errorf("said twice:\n got %+v\nwant %+v", h, before)
	}
	moved, ems := e, e
	moved.County, ems.Profile = "17043", muster.EMS
	refused(moved, first)
	refused(moved, first.Add(-time.Hour))
	refused(ems, first)

	say(e, first.Add(time.Second), false, muster.HostActive)
	say(moved, first.Add(2*time.Second), false, muster.HostPending)
	say(moved, first, false, muster.HostPending)
	say(moved, first, true, muster.HostActive)
	moved.Profile = muster.EMS
	say(moved, first.Add(3*time.Second), false, muster.HostPending)
}

func second[T any](_ T, err error) error { return err }

func pendingIsShownNowhere(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, false)
	f.commit(muster.OutcomeStored, f.report(id, 1, fail), f.report(id, 2, pass))
	for what, n := range map[string]int{
		"hosts":            len(get[[]muster.HostStanding](t)(f.Hosts(f.ctx, "", 9))),
		"county hosts":     len(get[[]muster.HostStanding](t)(f.CountyHosts(f.ctx, "17031"))),
		"county findings":  len(get[[]muster.FindingStanding](t)(f.CountyFindings(f.ctx, "17031"))),
		"host findings":    len(get[[]muster.FindingStanding](t)(f.HostFindings(f.ctx, id))),
		"host transitions": len(get[[]muster.Transition](t)(f.HostTransitions(f.ctx, id, 9))),
		"controls":         len(get[[]muster.ControlStanding](t)(f.Controls(f.ctx))),
		"control findings": len(get[[]muster.FindingStanding](t)(f.ControlFindings(f.ctx, "C1"))),
		"control hosts":    len(get[[]muster.HostStanding](t)(f.ControlHosts(f.ctx, "C1"))),
		"changes":          len(get[[]muster.Transition](t)(f.Changes(f.ctx, 9))),
	} {
		if n != 0 {
			t.Errorf("%s show a pending host", what)
		}
	}
	if c := get[[]muster.CountyStanding](t)(f.Counties(f.ctx)); len(c) != 1 || c[0] != (muster.CountyStanding{County: "17031", Pending: 1}) {
		t.Errorf("counties: %+v", c)
	}
	if p := get[[]muster.HostStanding](t)(f.Pending(f.ctx)); len(p) != 1 || p[0].ID != id {
		t.Errorf("pending: %+v", p)
	}
	must(t, f.Approve(f.ctx, id, "ciso", f.now))
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, id)); h.Seq != 2 || !h.Meets() {
		t.Errorf("once approved, its reports count: %+v", h)
	}
}

func firstReport(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, id)); !h.LastSeen.IsZero() || h.Meets() || h.Stale {
		t.Errorf("before its first report: %+v", h)
	}
	f.commit(muster.OutcomeStored, f.report(id, 1, pass, unknown))
	h := get[muster.HostStanding](t)(f.Host(f.ctx, id))
	if h.Seq != 1 || h.LastSeen != f.now || h.FirstSeen != f.now || h.CollectedAt != f.now.Add(-time.Minute) ||
		h.Hostname != "named" || h.Agent != "2" || h.PolicyRevision != "r1" ||
		h.Summary != (muster.Summary{Pass: 1, Unknown: 1}) {
		t.Errorf("host: %+v", h)
	}
	for _, tr := range get[[]muster.Transition](t)(f.HostTransitions(f.ctx, id, 9)) {
		if !tr.First || tr.Seq != 1 || tr.ReceivedAt != f.now {
			t.Errorf("transition: %+v", tr)
		}
	}
	if c := get[[]muster.Transition](t)(f.Changes(f.ctx, 9)); len(c) != 0 {
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
	changes := get[[]muster.Transition](t)(f.Changes(f.ctx, 9))
	if len(changes) != 1 || changes[0] != (muster.Transition{Host: id, Control: "C2", From: fail, To: pass, Seq: 3,
		CollectedAt: f.now.Add(-time.Minute), ReceivedAt: f.now}) {
		t.Errorf("changes: %+v", changes)
	}
	all := get[[]muster.Transition](t)(f.HostTransitions(f.ctx, id, 2))
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
	got := get[[]muster.FindingStanding](f.T)(f.HostFindings(f.ctx, id))
	slices.SortFunc(got, func(a, b muster.FindingStanding) int { return compare(a.Control, b.Control) })
	if !slices.Equal(got, want) {
		f.Errorf("findings:\n got %+v\nwant %+v", got, want)
	}
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func removedControl(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass, fail))
	f.commit(muster.OutcomeStored, f.report(id, 2, pass))
	f.wantFindings(id, []muster.FindingStanding{{Host: id, Control: "C1", Status: pass, Since: f.now}})
	if c := get[[]muster.Transition](t)(f.Changes(f.ctx, 9)); len(c) != 1 || c[0].Control != "C2" || c[0].To != na {
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
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, id)); h.LastSeen != start || h.Conflict {
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
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, id)); !h.Conflict || h.Summary.Pass != 1 {
		t.Errorf("host: %+v", h)
	}
	if e := get[[]muster.StoredEnvelope](t)(f.Envelope(f.ctx, id, 1)); e[0].Digest != digest(id, 1) {
		t.Error("the first report was replaced")
	}
	f.commit(muster.OutcomeStored, f.report(id, 2, pass))
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, id)); !h.Conflict || h.Seq != 2 {
		t.Errorf("the flag stays: %+v", h)
	}
}

func brokenChain(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
	r := f.report(id, 2, pass)
	r.Header.Prev[0]++
	f.commit(muster.OutcomeStored, r)
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, id)); !h.Conflict || h.Seq != 2 {
		t.Errorf("it follows another report than the one that is here: %+v", h)
	}
}

func lateReport(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
	f.commit(muster.OutcomeStored, f.report(id, 4, pass))
	f.now = f.now.Add(time.Hour)
	f.commit(muster.OutcomeStored, f.report(id, 3, fail), f.report(id, 2, fail))
	h := get[muster.HostStanding](t)(f.Host(f.ctx, id))
	if h.Seq != 4 || !h.Meets() || h.Conflict || h.LastSeen != f.now.Add(-time.Hour) {
		t.Errorf("host: %+v", h)
	}
	if c := get[[]muster.Transition](t)(f.Changes(f.ctx, 9)); len(c) != 0 {
		t.Errorf("changes: %+v", c)
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
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, id)); h.Seq != 0 {
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

// concurrent commits the same reports from several sides while others read:
// each is stored exactly once.
func concurrent(t *testing.T, f *fixture) {
	const hosts, reports, sides = 4, 10, 3
	for n := range hosts {
		f.enroll(n, "17031", muster.Workstation, true)
	}
	var mu sync.Mutex
	stored := map[string]int{}
	var all sync.WaitGroup
	for range sides {
		all.Go(func() {
			for seq := uint64(1); seq <= reports; seq++ {
				for n := range hosts {
					got, err := f.Commit(f.ctx, []muster.Accepted{f.report(HostID(n), seq, muster.Status(seq%4))})
					if err != nil || got[0].Outcome == muster.OutcomeConflict {
						t.Errorf("commit: %v %v", got, err)
						return
					}
					if got[0].Outcome == muster.OutcomeStored {
						mu.Lock()
						stored[fmt.Sprint(n, " ", seq)]++
						mu.Unlock()
					}
					if _, err := f.Counties(f.ctx); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if len(stored) != hosts*reports {
		t.Errorf("%d reports stored, want %d", len(stored), hosts*reports)
	}
	for what, n := range stored {
		if n != 1 {
			t.Errorf("report %s stored %d times", what, n)
		}
	}
}

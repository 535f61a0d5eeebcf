package storetest

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

func enrollAndApprove(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, false)
	e := get[muster.Enrolled](t)(f.Enrolled(f.ctx, id))
	if e.County != "17031" || string(e.PublicKey) != "key of "+string(id) || e.State != muster.HostPending {
		t.Errorf("enrolled as %+v", e)
	}
	must(t, f.approve(id))
	must(t, f.approve(id))
	if log := get[[]muster.LogEntry](t)(f.AuditLog(f.ctx, 0, 9)); len(log) != 1 || log[0].Action != "approve" || log[0].Object != string(id) {
		t.Errorf("approved twice, logged %+v", log)
	}
	for _, err := range []error{
		f.approve(HostID(9)),
		second(f.Enrolled(f.ctx, HostID(9))), second(f.Host(f.ctx, muster.View{}, HostID(9))),
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
		if s := get[muster.HostState](t)(f.Enroll(f.ctx, e, approved, madeAt)); s != want {
			t.Errorf("the host is %s, want %s", s, want)
		}
	}
	refused := func(e muster.Enrolled, madeAt time.Time) {
		t.Helper()
		for _, approved := range []bool{false, true} {
			if s, err := f.Enroll(f.ctx, e, approved, madeAt); !errors.Is(err, fs.ErrExist) {
				t.Errorf("an old statement makes the host %s: %v", s, err)
			}
		}
		if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); h.County != "17031" || h.Profile != muster.Workstation {
			t.Errorf("an old statement moved the host: %+v", h)
		}
	}
	before := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id))
	e.Hostname, e.Agent = "an older name", "0"
	say(e, first, false, muster.HostActive)
	say(e, first.Add(-time.Hour), false, muster.HostActive)
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); h != before {
		t.Errorf("said twice:\n got %+v\nwant %+v", h, before)
	}
	if at := get[time.Time](t)(f.Moved(f.ctx, id)); !at.IsZero() {
		t.Errorf("moved at %s", at)
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
	if at := get[time.Time](t)(f.Moved(f.ctx, id)); at.Before(first) {
		t.Errorf("moved at %s", at)
	}
	moved.Profile = muster.EMS
	say(moved, first.Add(3*time.Second), false, muster.HostPending)
}

func pendingIsShownNowhere(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, false)
	f.commit(muster.OutcomeStored, f.report(id, 1, fail), f.report(id, 2, pass))
	for what, n := range map[string]int{
		"hosts":            len(f.hosts(muster.HostQuery{})),
		"county hosts":     len(f.hosts(muster.HostQuery{County: "17031"})),
		"county findings":  len(get[[]muster.FindingStanding](t)(f.CountyFindings(f.ctx, muster.View{}, "17031"))),
		"host findings":    len(get[[]muster.FindingStanding](t)(f.HostFindings(f.ctx, muster.View{}, id))),
		"host transitions": len(get[[]muster.Transition](t)(f.HostTransitions(f.ctx, muster.View{}, id, 9))),
		"controls":         len(get[[]muster.ControlStanding](t)(f.Controls(f.ctx, muster.View{}, ""))),
		"control hosts":    len(f.hosts(muster.HostQuery{Control: "C1"})),
		"changes":          len(get[[]muster.Transition](t)(f.Changes(f.ctx, muster.View{}, "", 9))),
	} {
		if n != 0 {
			t.Errorf("%s show a pending host", what)
		}
	}
	if c := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{})); len(c) != 1 || c[0] != (muster.CountyStanding{County: "17031", Pending: 1}) {
		t.Errorf("counties: %+v", c)
	}
	if p := get[[]muster.HostStanding](t)(f.Pending(f.ctx, "")); len(p) != 1 || p[0].ID != id {
		t.Errorf("pending: %+v", p)
	}
	must(t, f.approve(id))
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); h.Seq != 2 || !h.Meets() {
		t.Errorf("once approved, its reports count: %+v", h)
	}
}

// retire: a host that is gone is in no list, until it comes back and is approved.
func retire(t *testing.T, f *fixture) {
	id, waiting := f.enroll(1, "17031", muster.Workstation, true), f.enroll(2, "17031", muster.Workstation, false)
	f.commit(muster.OutcomeStored, f.report(id, 1, fail))
	made := f.now
	f.now = f.now.Add(time.Hour)
	must(t, f.Retire(f.ctx, id, f.entry("retire", id)))
	must(t, f.Retire(f.ctx, waiting, f.entry("retire", waiting)))
	for _, id := range []muster.HostID{id, waiting, HostID(9)} {
		if err := f.Retire(f.ctx, id, f.entry("retire", id)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("retired twice, or never enrolled: %v", err)
		}
	}
	f.wantLog("retire", "retire")
	if err := second(f.Host(f.ctx, muster.View{}, id)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a retired host is there: %v", err)
	}
	if n := len(f.hosts(muster.HostQuery{})) + len(get[[]muster.HostStanding](t)(f.Pending(f.ctx, ""))) +
		len(get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{}))); n != 0 {
		t.Errorf("%d lists and counts have retired hosts", n)
	}
	if r := get[[]muster.ReportStanding](t)(f.HostReports(f.ctx, id, 0, 9)); len(r) != 1 {
		t.Errorf("its reports: %+v", r)
	}
	e := get[muster.Enrolled](t)(f.Enrolled(f.ctx, id))
	if e.State != muster.HostRetired {
		t.Errorf("it is %s", e.State)
	}
	if s := get[muster.HostState](t)(f.Enroll(f.ctx, e, false, made)); s != muster.HostRetired {
		t.Errorf("an old statement makes it %s", s)
	}
	if s := get[muster.HostState](t)(f.Enroll(f.ctx, e, false, made.Add(time.Minute))); s != muster.HostPending {
		t.Errorf("a new statement makes it %s", s)
	}
	must(t, f.approve(id))
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, id)); h.Seq != 1 || h.Summary.Fail != 1 {
		t.Errorf("it came back as %+v", h)
	}
}

func clearClone(t *testing.T, f *fixture) {
	id := f.enroll(1, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(id, 1, pass))
	other := f.report(id, 1, fail)
	other.Envelope.Digest[0]++
	f.commit(muster.OutcomeConflict, other)
	f.now = f.now.Add(time.Hour)
	must(t, f.ClearClone(f.ctx, id, f.entry("clear_clone", id)))
	if h := f.standing(1); h.Conflict || h.ConflictReason != "" {
		t.Errorf("it is still taken for a copy: %+v", h)
	}
	if err := f.ClearClone(f.ctx, HostID(9), f.entry("clear_clone", "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	f.commit(muster.OutcomeStored, f.report(id, 2, pass))
	if h := f.standing(1); h.Conflict {
		t.Errorf("a sound report makes it a copy again: %+v", h)
	}
	f.commit(muster.OutcomeConflict, other)
	if h := f.standing(1); h.ConflictReason != muster.CloneNumber {
		t.Errorf("what shows it anew counts: %+v", h)
	}
}

// waits: a person who approves is told why they are asked.
func waits(t *testing.T, f *fixture) {
	f.speak(1, "A", "m", true)
	f.speak(2, "", "", false)  // nobody vouches for it
	f.speak(3, "A", "", true)  // the node of another
	f.speak(4, "B", "n", true) // moves to another node
	f.speak(4, "C", "n", false)
	why := map[string]bool{}
	for _, h := range get[[]muster.HostStanding](t)(f.Pending(f.ctx, "17031")) {
		why[h.Waits] = true
	}
	if len(why) != 3 || why[""] {
		t.Errorf("reasons: %v", why)
	}
	// Page by page they are the same; one that waits no more keeps its place.
	all, from := get[[]muster.HostStanding](t)(f.Pending(f.ctx, "")), muster.HostID("")
	for i, h := range all {
		page := get[[]muster.HostStanding](t)(f.PendingPage(f.ctx, "17031", from, 1))
		if len(page) != 1 || page[0].ID != h.ID {
			t.Errorf("page %d: %+v, want %s", i, page, h.ID)
		}
		from = h.ID
	}
	if p := get[[]muster.HostStanding](t)(f.PendingPage(f.ctx, "", from, 1)); len(p) != 0 {
		t.Errorf("after the last: %+v", p)
	}
	if p := get[[]muster.HostStanding](t)(f.Pending(f.ctx, "17043")); len(p) != 0 {
		t.Errorf("those of another county: %+v", p)
	}
	must(t, f.approve(HostID(2)))
	if p := get[[]muster.HostStanding](t)(f.PendingPage(f.ctx, "", HostID(2), 9)); len(p) != 2 {
		t.Errorf("after one that waits no more: %+v", p)
	}
	if h := f.standing(2); h.Waits != "" {
		t.Errorf("it waits no more: %+v", h)
	}
}

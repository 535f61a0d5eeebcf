package storetest

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

// speak enrolls the host, a minute later, from a node and a machine.
func (f *fixture) speak(n int, node, machine string, approved bool) muster.HostState {
	f.Helper()
	f.now = f.now.Add(time.Minute)
	id := HostID(n)
	state, err := f.Enroll(f.ctx, muster.Enrolled{
		Host:      muster.Host{ID: id, Hostname: "pc", County: "17031", Profile: muster.Workstation, Platform: muster.Linux},
		PublicKey: []byte("key of " + id), Agent: "1", Node: node, Machine: machine,
	}, approved, f.now)
	must(f.T, err)
	return state
}

func (f *fixture) standing(n int) muster.HostStanding {
	f.Helper()
	return get[muster.HostStanding](f.T)(f.Host(f.ctx, muster.View{}, HostID(n)))
}

// wantLog expects the actions of the audit log, newest first.
func (f *fixture) wantLog(want ...string) {
	f.Helper()
	var got []string
	for _, e := range get[[]muster.LogEntry](f.T)(f.AuditLog(f.ctx, 0, 99)) {
		got = append(got, e.Action)
	}
	if !slices.Equal(got, want) {
		f.Errorf("the audit log has %q, want %q", got, want)
	}
}

// clones: what shows that two computers have one key.
func clones(t *testing.T, f *fixture) {
	// A node that signs in anew is another node, once.
	f.speak(1, "A", "m1", true)
	f.speak(1, "A", "m1", true)
	f.speak(1, "B", "m1", true)
	f.speak(1, "B", "", true)
	f.speak(1, "", "m1", true) // from a stick
	f.speak(1, "C", "m1", true)
	if h := f.standing(1); h.Conflict || h.ConflictReason != "" {
		t.Errorf("it only signed in anew: %+v", h)
	}
	if e := get[muster.Enrolled](t)(f.Enrolled(f.ctx, HostID(1))); e.Node != "C" || e.Machine != "m1" {
		t.Errorf("it is bound to %q on %q", e.Node, e.Machine)
	}
	f.wantLog("rebind_host", "rebind_host")

	f.speak(1, "A", "m1", true)
	f.speak(1, "C", "m1", true)
	f.speak(1, "C", "m2", true)
	if h := f.standing(1); !h.Conflict || h.ConflictReason != muster.CloneNode {
		t.Errorf("it is on two nodes: %+v", h)
	}
	f.wantLog("flag_clone", "rebind_host", "rebind_host")

	f.speak(2, "", "m3", true)
	f.commit(muster.OutcomeStored, f.report(HostID(2), 1, pass))
	f.speak(2, "", "m4", true)
	f.commit(muster.OutcomeStored, f.report(HostID(2), 2, pass))
	if h := f.standing(2); !h.Conflict || h.ConflictReason != muster.CloneMachine {
		t.Errorf("it is on two machines: %+v", h)
	}

	f.speak(3, "", "", true)
	f.commit(muster.OutcomeStored, f.report(HostID(3), 1, pass))
	broken := f.report(HostID(3), 2, pass)
	broken.Header.Prev[0]++
	f.commit(muster.OutcomeStored, broken)
	other := f.report(HostID(3), 1, fail)
	other.Envelope.Digest[0]++
	f.commit(muster.OutcomeConflict, other)
	if h := f.standing(3); h.ConflictReason != muster.CloneChain {
		t.Errorf("the first that showed it: %+v", h)
	}
	f.speak(4, "", "", true)
	f.commit(muster.OutcomeStored, f.report(HostID(4), 1, pass))
	other = f.report(HostID(4), 1, fail)
	other.Envelope.Digest[0]++
	f.commit(muster.OutcomeConflict, other)
	if h := f.standing(4); h.ConflictReason != muster.CloneNumber {
		t.Errorf("two reports have one number: %+v", h)
	}
	f.commit(muster.OutcomeConflict, other) // it is said once
	f.wantLog("flag_clone", "flag_clone", "flag_clone", "flag_clone", "rebind_host", "rebind_host")
}

// moves: another node needs another approval.
func moves(t *testing.T, f *fixture) {
	for _, step := range []struct {
		node     string
		approved bool
		want     muster.HostState
	}{
		{"", true, muster.HostActive},
		{"A", false, muster.HostPending}, // until now it came on loopback or a stick
		{"A", true, muster.HostActive},
		{"A", false, muster.HostActive},
		{"", false, muster.HostActive},
		{"B", false, muster.HostPending},
		{"C", true, muster.HostActive},
	} {
		if got := f.speak(1, step.node, "", step.approved); got != step.want {
			t.Errorf("from node %q, approved %v: %s", step.node, step.approved, got)
		}
	}
}

// reimaged: a machine that was set up again has a new key.
func reimaged(t *testing.T, f *fixture) {
	old, renewed := HostID(1), HostID(2)
	f.speak(1, "A", "m", true)
	f.commit(muster.OutcomeStored, f.report(old, 1, fail))
	f.speak(3, "", "another", true)
	f.speak(4, "", "", true)
	if got := f.speak(2, "B", "m", false); got != muster.HostPending {
		t.Fatal(got)
	}
	if p := get[[]muster.HostStanding](t)(f.Pending(f.ctx, "")); len(p) != 1 || p[0].Replaces != old {
		t.Errorf("pending: %+v", p)
	}
	if h := f.standing(1); h.ReplacedBy != "" {
		t.Errorf("one that waits replaces nobody: %+v", h)
	}

	must(t, f.approve(renewed))
	f.wantLog("replace_host", "approve")
	if a, b := f.standing(1), f.standing(2); a.ReplacedBy != renewed || b.Replaces != old || a.Conflict || b.Conflict {
		t.Errorf("replaced:\n%+v\n%+v", a, b)
	}
	f.now = f.now.Add(muster.WorkstationStaleAfter + time.Hour)
	f.commit(muster.OutcomeStored, f.report(renewed, 1, pass), f.report(HostID(3), 1, pass), f.report(HostID(4), 1, pass))
	want := muster.CountyStanding{County: "17031", Hosts: 3, Meeting: 3}
	if c := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{})); len(c) != 1 || c[0] != want {
		t.Errorf("counties: %+v", c)
	}
	for what, n := range map[string]int{
		"quiet hosts":     len(get[[]muster.HostStanding](t)(f.Quiet(f.ctx, muster.View{}, "", 9))),
		"county findings": len(get[[]muster.FindingStanding](t)(f.CountyFindings(f.ctx, muster.View{}, "17031"))),
		"control hosts":   len(f.hosts(muster.HostQuery{Control: "C1"})),
	} {
		if n != 0 {
			t.Errorf("%s have the host that was replaced", what)
		}
	}
	if list := f.hosts(muster.HostQuery{County: "17031"}); len(list) != 4 {
		t.Errorf("%d hosts are listed, want all 4", len(list))
	}

	// A report of before is late mail; a later one shows that the host lives on.
	late := f.report(old, 2, pass)
	late.Header.CollectedAt = f.now.Add(-muster.WorkstationStaleAfter - 2*time.Hour)
	f.commit(muster.OutcomeStored, late)
	if h := f.standing(1); h.ReplacedBy != renewed {
		t.Errorf("late mail brings it back: %+v", h)
	}
	if list := get[[]muster.Transition](t)(f.Changes(f.ctx, muster.View{}, "", 9)); len(list) != 0 {
		t.Errorf("the changes have the host that was replaced: %+v", list)
	}
	f.commit(muster.OutcomeStored, f.report(old, 3, fail))
	if a, b := f.standing(1), f.standing(2); a.ReplacedBy != "" || b.Replaces != "" {
		t.Errorf("it reports and counts again:\n%+v\n%+v", a, b)
	}
	// Of another county: not a machine that was set up again here.
	elsewhere, err := f.Enroll(f.ctx, muster.Enrolled{Host: muster.Host{ID: HostID(9), County: "17043"}, PublicKey: []byte("k"), Machine: "m"}, true, f.now)
	must(t, err)
	if h := f.standing(9); elsewhere != muster.HostActive || h.Replaces != "" {
		t.Errorf("%+v", h)
	}
}

// slowClockLivesOn: a clock that is behind hides no host that still reports.
func slowClockLivesOn(t *testing.T, f *fixture) {
	old := HostID(1)
	report := func(seq uint64) {
		t.Helper()
		r := f.report(old, seq, fail)
		r.Header.CollectedAt = f.now.AddDate(-11, 0, 0)
		f.commit(muster.OutcomeStored, r)
	}
	f.speak(1, "A", "m", true)
	report(1)
	f.speak(2, "B", "m", true)
	if h := f.standing(1); h.ReplacedBy != HostID(2) {
		t.Fatalf("it is not replaced: %+v", h)
	}
	f.now = f.now.Add(time.Hour)
	report(2)
	if h := f.standing(1); h.ReplacedBy != "" {
		t.Errorf("it reports and counts nowhere: %+v", h)
	}
}

// impostors: whoever has a node, which is trusted with mail only, can make keys. None
// of them takes a host's place before a person has looked.
func impostors(t *testing.T, f *fixture) {
	f.speak(1, "A", "m", true)
	f.speak(2, "", "n", true) // only on sticks
	for _, c := range []struct {
		what, node, machine string
		want                muster.HostState
	}{
		{"a second key from the host's own node", "A", "", muster.HostPending},
		{"and on its machine", "A", "m", muster.HostPending},
		{"a sealed file that names its machine", "", "m", muster.HostPending},
		{"another machine", "B", "o", muster.HostActive},
		{"a machine without a node that was set up again", "", "n", muster.HostActive},
		{"a machine that was set up again, with a node of its own", "C", "m", muster.HostActive},
		{"the node of a host that was replaced", "A", "", muster.HostActive},
	} {
		n := 10 + len(f.hosts(muster.HostQuery{})) + len(get[[]muster.HostStanding](t)(f.Pending(f.ctx, "")))
		if got := f.speak(n, c.node, c.machine, true); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
		if again := f.speak(n, c.node, c.machine, true); again != c.want {
			t.Errorf("%s, again: %s, want %s", c.what, again, c.want)
		}
	}
}

func audits(t *testing.T, f *fixture) {
	entry := muster.LogEntry{At: f.now, Actor: "ciso", Action: "request_audit", Object: "x"}
	id := f.enroll(1, "17031", muster.Workstation, false)
	for _, id := range []muster.HostID{id, HostID(9)} {
		if err := f.RequestAudit(f.ctx, id, entry); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("an audit of a host that is not active: %v", err)
		}
	}
	f.wantLog()
	must(t, f.approve(id))
	must(t, f.RequestAudit(f.ctx, id, entry))
	if h := f.standing(1); h.AuditWanted != f.now {
		t.Errorf("host: %+v", h)
	}
	f.wantLog("request_audit", "approve")
}

package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

func stale(t *testing.T, f *fixture) {
	ws, ems := f.enroll(1, "17031", muster.Workstation, true), f.enroll(2, "17031", muster.EMS, true)
	silent := f.enroll(3, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(ws, 1, pass), f.report(ems, 1, pass))
	f.now = f.now.Add(muster.WorkstationStaleAfter)
	if q := get[[]muster.HostStanding](t)(f.Quiet(f.ctx, 9)); len(q) != 0 {
		t.Errorf("on the last good day %d are stale", len(q))
	}
	f.now = f.now.Add(time.Second)
	c := get[[]muster.CountyStanding](t)(f.Counties(f.ctx))
	if want := (muster.CountyStanding{County: "17031", Hosts: 3, Meeting: 1, Stale: 2}); len(c) != 1 || c[0] != want {
		t.Errorf("counties: %+v, want %+v", c, want)
	}
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, ws)); !h.Stale || h.Meets() {
		t.Errorf("a stale host meets nothing: %+v", h)
	}
	if k := get[[]muster.ControlStanding](t)(f.Controls(f.ctx)); len(k) != 1 || k[0].Pass != 1 {
		t.Errorf("controls count hosts that are not stale: %+v", k)
	}
	f.now = f.now.Add(muster.EMSStaleAfter)
	q := get[[]muster.HostStanding](t)(f.Quiet(f.ctx, 9))
	if len(q) != 3 || !slices.ContainsFunc(q, func(h muster.HostStanding) bool { return h.ID == silent && h.Stale }) {
		t.Errorf("quiet: %+v", q)
	}
}

func standing(t *testing.T, f *fixture) {
	a, b, c := f.enroll(1, "17031", muster.Workstation, true), f.enroll(2, "17031", muster.Workstation, true), f.enroll(3, "17043", muster.EMS, true)
	f.enroll(4, "17043", muster.EMS, false)
	waived := f.report(c, 1, fail, na)
	waived.Verdicts[0].Waiver, waived.GateFails, waived.Summary = "W1", false, muster.Summary{Waived: 1, NotApplicable: 1, MeetsBaseline: true}
	f.commit(muster.OutcomeStored, f.report(a, 1, fail, pass), f.report(b, 1, unknown, fail), waived)
	passing := f.report(b, 2, unknown, pass)
	passing.Verdicts[1].Waiver = "W2" // a waiver that nothing needs
	f.commit(muster.OutcomeStored, passing)
	counties := get[[]muster.CountyStanding](t)(f.Counties(f.ctx))
	slices.SortFunc(counties, func(a, b muster.CountyStanding) int { return compare(string(a.County), string(b.County)) })
	if !slices.Equal(counties, []muster.CountyStanding{
		{County: "17031", Hosts: 2, Failing: 1, Unknown: 1}, {County: "17043", Hosts: 1, Meeting: 1, Pending: 1},
	}) {
		t.Errorf("counties: %+v", counties)
	}
	controls := get[[]muster.ControlStanding](t)(f.Controls(f.ctx))
	slices.SortFunc(controls, func(a, b muster.ControlStanding) int { return compare(a.Control, b.Control) })
	if !slices.Equal(controls, []muster.ControlStanding{
		{Control: "C1", Fail: 1, Unknown: 1, Waived: 1, FailCounties: 1}, {Control: "C2", Pass: 2, NotApplicable: 1},
	}) {
		t.Errorf("controls: %+v", controls)
	}
	if got := get[[]muster.FindingStanding](t)(f.ControlFindings(f.ctx, "C1")); len(got) != 3 {
		t.Errorf("fails and unknowns of C1, waived included: %+v", got)
	}
	if got := get[[]muster.HostStanding](t)(f.ControlHosts(f.ctx, "C1")); len(got) != 3 {
		t.Errorf("hosts of C1: %+v", got)
	}
	if got := get[[]muster.FindingStanding](t)(f.CountyFindings(f.ctx, "17031")); len(got) != 2 {
		t.Errorf("fails and unknowns of 17031: %+v", got)
	}
}

func lists(t *testing.T, f *fixture) {
	var want []muster.HostID
	for n := range 7 {
		want = append(want, f.enroll(n, "17031", muster.Workstation, true))
	}
	slices.Sort(want)
	var got []muster.HostID
	for {
		after := muster.HostID("")
		if len(got) > 0 {
			after = got[len(got)-1]
		}
		page := get[[]muster.HostStanding](t)(f.Hosts(f.ctx, after, 3))
		if len(page) == 0 {
			break
		}
		for _, h := range page {
			got = append(got, h.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages of three: %v, want %v", got, want)
	}
}

func auditLog(t *testing.T, f *fixture) {
	e := muster.LogEntry{At: f.now, Actor: "link", Action: "login", Object: "x"}
	must(t, f.Log(f.ctx, e))
	if log := get[[]muster.LogEntry](t)(f.AuditLog(f.ctx, 9)); len(log) != 1 || log[0] != e {
		t.Errorf("log: %+v", log)
	}
}

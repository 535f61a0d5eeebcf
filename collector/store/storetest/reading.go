package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

func stale(t *testing.T, f *fixture) {
	ws, ems := f.enroll(1, "17031", muster.Workstation, true), f.enroll(2, "17031", muster.EMS, true)
	silent := f.enroll(3, "17031", muster.Workstation, true)
	f.commit(muster.OutcomeStored, f.report(ws, 1, pass), f.report(ems, 1, pass))
	f.now = f.now.Add(muster.WorkstationStaleAfter)
	if q := get[[]muster.HostStanding](t)(f.Quiet(f.ctx, muster.View{}, "", 9)); len(q) != 0 {
		t.Errorf("on the last good day %d are stale", len(q))
	}
	f.now = f.now.Add(time.Second)
	c := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{}))
	if want := (muster.CountyStanding{County: "17031", Hosts: 3, Meeting: 1, Stale: 2}); len(c) != 1 || c[0] != want {
		t.Errorf("counties: %+v, want %+v", c, want)
	}
	if h := get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, ws)); !h.Stale || h.Meets() {
		t.Errorf("a stale host meets nothing: %+v", h)
	}
	if k := get[[]muster.ControlStanding](t)(f.Controls(f.ctx, muster.View{}, "")); len(k) != 1 || k[0].Pass != 1 {
		t.Errorf("controls count hosts that are not stale: %+v", k)
	}
	f.now = f.now.Add(muster.EMSStaleAfter)
	q := get[[]muster.HostStanding](t)(f.Quiet(f.ctx, muster.View{}, "", 9))
	if len(q) != 3 || !slices.ContainsFunc(q, func(h muster.HostStanding) bool { return h.ID == silent && h.Stale }) {
		t.Errorf("quiet: %+v", q)
	}
}

// staleAfter: a state may be more or less patient with a profile.
func staleAfter(t *testing.T, f *fixture) {
	s := f.open(t, store.Options{Now: func() time.Time { return f.now }, StaleAfter: map[muster.Profile]time.Duration{muster.Workstation: time.Hour}})
	defer func() { must(t, s.Close()) }()
	ws, ems := f.enrollIn(s, 1), HostID(2)
	get[muster.HostState](t)(s.Enroll(f.ctx, muster.Enrolled{Host: muster.Host{ID: ems, County: "17031", Profile: muster.EMS}, PublicKey: []byte("k")}, true, f.now))
	f.now = f.now.Add(time.Hour + time.Second)
	if q := get[[]muster.HostStanding](t)(s.Quiet(f.ctx, muster.View{}, "17031", 9)); len(q) != 1 || q[0].ID != ws {
		t.Errorf("after an hour these are stale: %+v", q)
	}
	f.now = f.now.Add(muster.EMSStaleAfter)
	if q := get[[]muster.HostStanding](t)(s.Quiet(f.ctx, muster.View{}, "", 9)); len(q) != 2 {
		t.Errorf("after weeks these are stale: %+v", q)
	}
	if q := get[[]muster.HostStanding](t)(s.Quiet(f.ctx, muster.View{}, "17043", 9)); len(q) != 0 {
		t.Errorf("in another county: %+v", q)
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
	counties := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{}))
	slices.SortFunc(counties, func(a, b muster.CountyStanding) int { return strings.Compare(string(a.County), string(b.County)) })
	if !slices.Equal(counties, []muster.CountyStanding{
		{County: "17031", Hosts: 2, Failing: 1, Unknown: 1}, {County: "17043", Hosts: 1, Meeting: 1, Pending: 1},
	}) {
		t.Errorf("counties: %+v", counties)
	}
	controls := get[[]muster.ControlStanding](t)(f.Controls(f.ctx, muster.View{}, ""))
	slices.SortFunc(controls, func(a, b muster.ControlStanding) int { return strings.Compare(a.Control, b.Control) })
	if !slices.Equal(controls, []muster.ControlStanding{
		{Control: "C1", Fail: 1, Unknown: 1, Waived: 1, FailCounties: 1}, {Control: "C2", Pass: 2, NotApplicable: 1},
	}) {
		t.Errorf("controls: %+v", controls)
	}
	got := f.hosts(muster.HostQuery{Control: "C1"})
	for _, h := range got {
		want := map[muster.HostID]muster.FindingStanding{
			a: {Host: a, Control: "C1", Status: fail, Since: f.now}, b: {Host: b, Control: "C1", Status: unknown, Since: f.now},
			c: {Host: c, Control: "C1", Status: fail, Waiver: "W1", Since: f.now}}[h.ID]
		if h.Finding == nil || *h.Finding != want {
			t.Errorf("%s has the finding %+v, want %+v", h.ID, h.Finding, want)
		}
	}
	if len(got) != 3 {
		t.Errorf("fails and unknowns of C1, waived included: %+v", got)
	}
	if got := f.hosts(muster.HostQuery{Control: "C1", County: "17043"}); len(got) != 1 || got[0].ID != c {
		t.Errorf("those of 17043: %+v", got)
	}
	for profile, want := range map[muster.Profile]int{muster.EMS: 1, muster.Workstation: 2} {
		if got := f.hosts(muster.HostQuery{Profile: profile, Limit: 1}); len(got) != want || got[0].Profile != profile {
			t.Errorf("those that are %s: %+v", profile, got)
		}
		if got := f.hosts(muster.HostQuery{Profile: profile, County: "17031", Control: "C1"}); len(got) != want&^1 {
			t.Errorf("those of 17031 that are %s and fail C1: %+v", profile, got)
		}
	}
	byCounty := get[[]muster.CountyControl](t)(f.ControlCounties(f.ctx, muster.View{}, "C1"))
	slices.SortFunc(byCounty, func(a, b muster.CountyControl) int { return strings.Compare(string(a.County), string(b.County)) })
	if !slices.Equal(byCounty, []muster.CountyControl{
		{County: "17031", ControlStanding: muster.ControlStanding{Control: "C1", Fail: 1, Unknown: 1, FailCounties: 1}},
		{County: "17043", ControlStanding: muster.ControlStanding{Control: "C1", Waived: 1}},
	}) {
		t.Errorf("C1 by county: %+v", byCounty)
	}
	if got := get[[]muster.ControlStanding](t)(f.Controls(f.ctx, muster.View{}, "17043")); len(got) != 2 {
		t.Errorf("controls of 17043: %+v", got)
	}
	if got := get[[]muster.FindingStanding](t)(f.CountyFindings(f.ctx, muster.View{}, "17031")); len(got) != 2 {
		t.Errorf("fails and unknowns of 17031: %+v", got)
	}
}

// lists come in pages, by county and id.
func lists(t *testing.T, f *fixture) {
	var want []muster.HostID
	for _, county := range []muster.County{"17031", "17043"} {
		var ids []muster.HostID
		for n := range 5 {
			id := f.enroll(10*len(want)+n, county, muster.Workstation, true)
			f.commit(muster.OutcomeStored, f.report(id, 1, muster.Status(1+n%2)))
			ids = append(ids, id)
		}
		slices.Sort(ids)
		want = append(want, ids...)
	}
	for _, limit := range []int{0, 1, 3, 10, 11} {
		var got []muster.HostID
		for _, h := range f.hosts(muster.HostQuery{Limit: limit}) {
			got = append(got, h.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %v, want %v", limit, got, want)
		}
		if n := len(f.hosts(muster.HostQuery{Control: "C1", Limit: limit})); n != 4 {
			t.Errorf("pages of %d: %d hosts fail C1, want 4", limit, n)
		}
		if n := len(f.hosts(muster.HostQuery{Control: "C1", County: "17043", Limit: limit})); n != 2 {
			t.Errorf("pages of %d: %d hosts of 17043 fail C1, want 2", limit, n)
		}
	}
}

func auditLog(t *testing.T, f *fixture) {
	for n := range 5 {
		must(t, f.Log(f.ctx, muster.LogEntry{At: f.now, Actor: "link", Action: "login", Object: fmt.Sprint(n)}))
	}
	var got []muster.LogEntry
	before := int64(0)
	for {
		page := get[[]muster.LogEntry](t)(f.AuditLog(f.ctx, before, 2))
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
		before = page[len(page)-1].ID
	}
	for i, e := range got {
		if want := (muster.LogEntry{ID: e.ID, At: f.now, Actor: "link", Action: "login", Object: fmt.Sprint(4 - i)}); e != want || i > 0 && e.ID >= got[i-1].ID {
			t.Errorf("line %d: %+v, want %+v", i, e, want)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d lines, want 5", len(got))
	}
}

package storetest

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// contacts are replaced as a whole, and keep their order.
func contacts(t *testing.T, f *fixture) {
	want := func(what string, county muster.County, want ...muster.Contact) {
		t.Helper()
		if diff := cmp.Diff(want, get[[]muster.Contact](t)(f.Contacts(f.ctx, county))); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	set := func(list ...muster.Contact) error {
		return f.SetContacts(f.ctx, "17031", list, f.entry("set_contacts", "17031"))
	}
	want("nobody", "17031")
	clerk := muster.Contact{Name: "Zoë <Clerk>", Duty: "election administrator", Phone: "+1 312 555 0100", Email: "clerk@example.gov"}
	desk := muster.Contact{Name: "a desk"}
	must(t, set(clerk, desk, clerk))
	f.wantLog("set_contacts")
	want("three", "17031", clerk, desk, clerk)
	want("another county", "17043")
	must(t, set(desk))
	want("one is left", "17031", desk)
	if err := set(slices.Repeat([]muster.Contact{clerk}, store.MaxContacts+1)...); err == nil {
		t.Error("a county has more contacts than it can have")
	}
	want("too many were set", "17031", desk)
	must(t, set(slices.Repeat([]muster.Contact{clerk}, store.MaxContacts)...))
	must(t, set())
	want("all are gone", "17031")
}

// asks wait for one answer, and are bounded while they do.
func asks(t *testing.T, f *fixture) {
	until := f.now.AddDate(0, 1, 0)
	ask := func(county muster.County, host muster.HostID) muster.Ask {
		t.Helper()
		f.now = f.now.Add(time.Hour)
		a := muster.Ask{County: county, Host: host, Control: "C1", Reason: "old <b>", Until: until}
		e := f.entry("ask_waiver", "C1")
		e.Actor = "clerk"
		a.ID = get[int64](t)(f.Ask(f.ctx, a, e))
		a.By, a.At, a.State = "clerk", f.now, muster.AskOpen
		return a
	}
	find := func(q muster.AskQuery, total int, want ...muster.Ask) (next int64) {
		t.Helper()
		page := get[muster.AskPage](t)(f.Asks(f.ctx, q))
		if diff := cmp.Diff(want, page.Asks); diff != "" || page.Total != total {
			t.Errorf("%+v: %d in all, want %d: %s", q, page.Total, total, diff)
		}
		return page.Next
	}
	want := func(county muster.County, open bool, want ...muster.Ask) {
		t.Helper()
		find(muster.AskQuery{County: county, Open: open}, len(want), want...)
	}
	want("", false)
	a, b, c := ask("17031", HostID(1)), ask("17043", ""), ask("17031", "")
	want("", false, c, b, a)
	want("", true, a, b, c)
	want("17031", false, c, a)
	want("17045", false)
	if next := find(muster.AskQuery{Open: true, Limit: 2}, 3, a, b); next != b.ID || find(muster.AskQuery{Open: true, After: next, Limit: 2}, 3, c) != 0 {
		t.Errorf("of open ones the next page is %d", next)
	}
	if next := find(muster.AskQuery{County: "17031", Limit: 1}, 2, c); next != c.ID || find(muster.AskQuery{County: "17031", After: next, Limit: 1}, 2, a) != 0 {
		t.Errorf("the next page is %d", next)
	}
	find(muster.AskQuery{Control: "C1", Limit: 3}, 3, c, b, a)
	find(muster.AskQuery{Control: "C2"}, 0)
	find(muster.AskQuery{County: "17031", Host: HostID(1)}, 2, c, a)
	find(muster.AskQuery{County: "17031", Host: HostID(2)}, 1, c)
	find(muster.AskQuery{Answered: true}, 0)

	f.now = f.now.Add(time.Hour)
	must(t, f.Answer(f.ctx, a.ID, muster.AskDeclined, "no", f.entry("answer_ask", a.ID)))
	f.wantLog("answer_ask", "ask_waiver", "ask_waiver", "ask_waiver")
	a.State, a.Answer, a.AnsweredBy, a.AnsweredAt = muster.AskDeclined, "no", "ciso", f.now
	must(t, f.Answer(f.ctx, b.ID, muster.AskGranted, "", f.entry("answer_ask", b.ID)))
	b.State, b.AnsweredBy, b.AnsweredAt = muster.AskGranted, "ciso", f.now
	want("", false, c, b, a)
	want("", true, c)
	want("17043", true)
	find(muster.AskQuery{Answered: true}, 2, b, a)
	if diff := cmp.Diff(a, get[muster.Ask](t)(f.AskOf(f.ctx, a.ID))); diff != "" {
		t.Error(diff)
	}
	before := len(get[[]muster.LogEntry](t)(f.AuditLog(f.ctx, 0, 1000)))
	if err := f.Answer(f.ctx, a.ID, muster.AskGranted, "yes", f.entry("answer_ask", a.ID)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("answered twice: %v", err)
	}
	if err := f.Answer(f.ctx, 99, muster.AskGranted, "", f.entry("answer_ask", 99)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an answer to nothing: %v", err)
	}
	if err := second(f.AskOf(f.ctx, 99)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing was asked: %v", err)
	}
	if n := len(get[[]muster.LogEntry](t)(f.AuditLog(f.ctx, 0, 1000))); n != before {
		t.Errorf("%d lines of what was not done", n-before)
	}
	want("", false, c, b, a)

	// A county that has asked as often as it can.
	full := f.another(f.open)
	left := store.MaxAsks
	must(t, full.Load(f.ctx, func() (store.Row, error) {
		if left == 0 {
			return store.Row{}, io.EOF
		}
		left--
		return store.Row{Table: "asks", Columns: strings.Fields("county id host control reason until_at by at state answer answered_by answered_at"),
			Values: []any{"17031", int64(store.MaxAsks - left), "", "C1", "old", int64(1), "clerk", int64(1), "open", "", "", int64(0)}}, nil
	}))
	more := muster.Ask{County: "17031", Control: "C1"}
	if err := second(full.Ask(f.ctx, more, f.entry("ask_waiver", "C1"))); !errors.Is(err, fs.ErrExist) || !strings.HasSuffix(err.Error(), "county 17031 has 50 requests that wait for an answer, and can have no more: once the state's security officer has answered some, ask again") {
		t.Errorf("one more than a county can ask: %v", err)
	}
	must(t, full.Answer(f.ctx, 7, muster.AskDeclined, "no", f.entry("answer_ask", 7)))
	must(t, second(full.Ask(f.ctx, more, f.entry("ask_waiver", "C1"))))
	more.County = "17043"
	if id := get[int64](t)(full.Ask(f.ctx, more, f.entry("ask_waiver", "C1"))); id != store.MaxAsks+2 {
		t.Errorf("the number of the next request is %d", id)
	}
}

// find: by name in any case, and by id; what means something to a database is a letter.
func find(t *testing.T, f *fixture) {
	ids := map[string]muster.HostID{}
	add := func(name string, county muster.County, approved bool) {
		t.Helper()
		id := HostID(len(ids))
		ids[name] = id
		get[muster.HostState](t)(f.Enroll(f.ctx, muster.Enrolled{
			Host:      muster.Host{ID: id, Hostname: name, County: county, Profile: muster.Workstation, Platform: muster.Linux},
			PublicKey: []byte("key of " + id), Agent: "1"}, approved, f.now))
	}
	for _, name := range []string{"COOK-WS-02", "cook-ws-01", "Old-Cook", "100%", "100x", "a_b", "axb", `c:\d`, "MÜLLER-1", "müller-2", "x-Ülm", "日本"} {
		add(name, "17031", true)
	}
	add("cook-ems", "17043", true)
	add("cook-waits", "17031", false)
	add("cook-gone", "17031", true)
	must(t, f.Retire(f.ctx, ids["cook-gone"], f.entry("retire", "x")))
	add("cook-was", "17031", true)
	f.now = f.now.Add(time.Hour)
	renamed := f.report(ids["cook-was"], 1, pass) // it is called "named" now
	f.commit(muster.OutcomeStored, renamed)
	want := func(county muster.County, text string, limit int, names ...string) {
		t.Helper()
		var want, got []muster.HostID
		for _, name := range names {
			want = append(want, ids[name])
		}
		for _, h := range get[[]muster.HostStanding](t)(f.Find(f.ctx, county, text, limit)) {
			got = append(got, h.ID)
		}
		if !slices.Equal(want, got) {
			t.Errorf("%q in %q, at most %d: %v, want %v %q", text, county, limit, got, want, names)
		}
	}
	want("", "cook", 9, "cook-ems", "cook-ws-01", "COOK-WS-02", "Old-Cook")
	want("", "COOK", 4, "cook-ems", "cook-ws-01", "COOK-WS-02", "Old-Cook")
	want("", "Cook", 2, "cook-ems", "cook-ws-01")
	want("17031", "cook", 9, "cook-ws-01", "COOK-WS-02", "Old-Cook")
	want("17043", "cook", 9, "cook-ems")
	want("17045", "cook", 9)
	want("", "s-0", 9, "cook-ws-01", "COOK-WS-02")
	want("", "NAMED", 9, "cook-was")
	want("", "0%", 9, "100%")
	want("", "%", 9, "100%")
	want("", "a_", 9, "a_b")
	want("", "_", 9, "a_b")
	want("", `\`, 9, `c:\d`)
	want("", `:\D`, 9, `c:\d`)
	want("", "müll", 9, "MÜLLER-1", "müller-2")
	want("", "ÜL", 9, "MÜLLER-1", "müller-2", "x-Ülm")
	want("", "本", 9, "日本")
	want("", "ÿ", 9)
	want("", "x-ül", 9, "x-Ülm")
	want("", "ül", 1, "MÜLLER-1")
	want("", "öl", 9)
	want("", strings.Repeat("äöüÄÖÜñçéèêà", 10), 9)
	want("", "", 9)
	want("", "cook", 0)
	want("", "co\x00", 9)
	want("", "co\xff", 9)
	id := ids["Old-Cook"]
	want("", string(id), 9, "Old-Cook")
	want("", string(id[:20]), 9, "Old-Cook")
	want("17043", string(id), 9)
	want("", string(id[1:]), 9)
	want("", string(ids["cook-waits"]), 9)
	h := get[[]muster.HostStanding](t)(f.Find(f.ctx, "", "named", 1))
	if diff := cmp.Diff([]muster.HostStanding{get[muster.HostStanding](t)(f.Host(f.ctx, muster.View{}, ids["cook-was"]))}, h); diff != "" {
		t.Error(diff)
	}

	among := func(county muster.County, of []muster.HostID, names ...string) {
		t.Helper()
		want, got := map[muster.HostID]bool{}, map[muster.HostID]bool{}
		for _, name := range names {
			want[ids[name]] = true
		}
		for _, h := range get[[]muster.HostStanding](t)(f.HostsAmong(f.ctx, county, of)) {
			got[h.ID] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("of %d in %q: %s", len(of), county, diff)
		}
	}
	some := []muster.HostID{ids["cook-ems"], "nothing", ids["cook-gone"], ids["cook-waits"], ids["cook-was"], ids["100%"], ids["100%"]}
	among("", some, "cook-ems", "cook-was", "100%")
	among("17031", some, "cook-was", "100%")
	among("17045", some)
	among("", nil)
	among("", append(slices.Repeat([]muster.HostID{"x"}, 1200), ids["100x"]), "100x")

	// One that was set up again is found as well as what took its place.
	f.speak(50, "", "m", true)
	f.speak(51, "", "m", true)
	got := get[[]muster.HostStanding](t)(f.Find(f.ctx, "", string(HostID(50)), 9))
	if len(got) != 1 || got[0].ReplacedBy != HostID(51) {
		t.Errorf("a replaced host: %+v", got)
	}
}

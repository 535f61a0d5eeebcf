package storetest

import (
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// dump: a backup that is loaded answers everything alike, and goes on alike.
func dump(t *testing.T, f *fixture) { copies(t, f, f.open, f.open) }

// RunBoth copies a random past from one kind of store to the other and back.
func RunBoth(t *testing.T, a, b Open) {
	for _, c := range []struct {
		name     string
		from, to Open
	}{{"There", a, b}, {"Back", b, a}} {
		t.Run(c.name, func(t *testing.T) { copies(t, newFixture(t, c.from), c.to, c.from) })
	}
}

func copies(t *testing.T, f *fixture, to, back Open) {
	h := newHistory(f, *firstSeed)
	var instants []time.Time
	for range *steps {
		h.step()
		instants = append(instants, h.now)
	}
	h.everythingElse()
	copied := h.another(to)
	load(t, f, f.Store, copied)
	load(t, f, copied, h.another(back))
	same := func() {
		t.Helper()
		views := []muster.View{{}}
		for i := 0; i < len(instants); i += 1 + len(instants)/10 {
			views = append(views, muster.View{At: instants[i]}, muster.View{At: instants[i], Known: muster.KnownNow})
		}
		for _, v := range views {
			if diff := cmp.Diff(ask(f.ctx, t, f, v, h.ids()), ask(f.ctx, t, copied, v, h.ids())); diff != "" {
				t.Fatalf("as of %v (- the store, + its copy):\n%s", v, diff)
			}
		}
		if diff := cmp.Diff(rest(f, f.Store, h.ids()), rest(f, copied, h.ids())); diff != "" {
			t.Fatalf("- the store, + its copy:\n%s", diff)
		}
	}
	same()

	h.now = h.now.Add(time.Hour)
	a := h.next(h.fleet[0], h.now, 1)
	for _, s := range []store.Store{f.Store, copied} {
		if got, err := s.Commit(f.ctx, []muster.Accepted{a}); err != nil || got[0].Outcome != muster.OutcomeStored {
			t.Fatalf("a report after: %v %v", got, err)
		}
		must(t, s.Log(f.ctx, f.entry("backup", "after")))
		must(t, s.KeepCustody(f.ctx, []muster.CustodyEvent{{At: f.now.Truncate(time.Second), Act: muster.CustodyWrote, By: "x", File: "ffffffffffffffff", Host: a.Header.Host, From: 1, To: 1}}))
		must(t, s.Retire(f.ctx, f.enrollIn(s, 99), f.entry("retire", "x")))
		must(t, s.Rollup(f.ctx, f.now))
		get[int64](t)(s.Ask(f.ctx, muster.Ask{County: "17031", Control: "C1"}, f.entry("ask_waiver", "x")))
	}
	same()
}

// enrollIn enrolls an active host in one of several stores.
func (f *fixture) enrollIn(s store.Store, n int) muster.HostID {
	both := *f
	both.Store = s
	return both.enroll(n, "17031", muster.Workstation, true)
}

// everythingElse fills the tables that a history leaves empty.
func (h *history) everythingElse() {
	must(h.T, h.Publish(h.ctx, h.release(3, "three", muster.RingEarly)))
	must(h.T, h.SetRing(h.ctx, muster.RingMember{County: "17031", Ring: muster.RingCanary}, h.entry("set_ring", "x")))
	must(h.T, h.PutTicket(h.ctx, store.Ticket{Kind: "link", Digest: muster.Digest{7}, Value: []byte("x"), Until: h.now.Add(24 * time.Hour)}))
	must(h.T, h.KeepCustody(h.ctx, []muster.CustodyEvent{{At: h.now.Truncate(time.Second), Act: muster.CustodyWrote, By: "x", File: "aaaaaaaaaaaaaaaa", Host: h.fleet[0].id, From: 1, To: 2}}))
	must(h.T, h.SetContacts(h.ctx, "17031", []muster.Contact{{Name: "clerk"}, {Name: "desk", Duty: "nights", Phone: "1", Email: "desk@example.gov"}}, h.entry("set_contacts", "x")))
	for range 2 {
		id := get[int64](h.T)(h.Ask(h.ctx, muster.Ask{County: "17031", Host: h.fleet[0].id, Control: "C1", Reason: "x", Until: h.now.Add(24 * time.Hour)}, h.entry("ask_waiver", "x")))
		if id == 1 {
			must(h.T, h.Answer(h.ctx, id, muster.AskDeclined, "no", h.entry("answer_ask", id)))
		}
	}
	must(h.T, h.Distribute(h.ctx, func(muster.Event) []string { return []string{"desk"} }))
}

// load copies one store into another that is empty, and only into one that is.
func load(t *testing.T, f *fixture, from, to store.Store) {
	t.Helper()
	var rows []store.Row
	must(t, from.Dump(f.ctx, func(r store.Row) error {
		rows = append(rows, r)
		return nil
	}))
	next := func() func() (store.Row, error) {
		i := 0
		return func() (store.Row, error) {
			if i++; i > len(rows) {
				return store.Row{}, io.EOF
			}
			return rows[i-1], nil
		}
	}
	must(t, to.Load(f.ctx, next()))
	if err := to.Load(f.ctx, next()); err == nil {
		t.Error("a store that is not empty is loaded")
	}
}

// rest are the answers that have no view.
func rest(f *fixture, s store.Store, ids []muster.HostID) answers {
	f.Helper()
	all := answers{}
	keep(all, "pending", nil, get[[]muster.HostStanding](f.T)(s.Pending(f.ctx, "")))
	keep(all, "releases", nil, get[[]muster.Release](f.T)(s.Releases(f.ctx)))
	keep(all, "rings", nil, get[[]muster.RingMember](f.T)(s.RingMembers(f.ctx)))
	keep(all, "policy use", func(u muster.PolicyUse) string { return u.Policy + string(u.Ring) }, get[[]muster.PolicyUse](f.T)(s.PolicyUse(f.ctx)))
	keep(all, "contacts", nil, get[[]muster.Contact](f.T)(s.Contacts(f.ctx, "17031")))
	keep(all, "asks", nil, get[muster.AskPage](f.T)(s.Asks(f.ctx, muster.AskQuery{})).Asks)
	keep(all, "audit log", nil, get[[]muster.LogEntry](f.T)(s.AuditLog(f.ctx, 0, 1000)))
	keep(all, "events", nil, get[[]muster.Event](f.T)(s.Events(f.ctx, "", 0, 1000)))
	keep(all, "deliveries", nil, get[[]muster.Delivery](f.T)(s.Deliveries(f.ctx, "", 1000)))
	keep(all, "days", nil, get[[]muster.DayStanding](f.T)(s.Days(f.ctx, "", f.now.AddDate(-1, 0, 0), f.now)))
	for _, policy := range []string{"p1", "p2", "p3"} {
		all["effect of "+policy] = get[muster.PolicyEffect](f.T)(s.PolicyEffect(f.ctx, policy, func(string) bool { return true }))
	}
	if b, err := s.Bundle(f.ctx, 3); err == nil {
		all["bundle"] = b
	}
	if ticket, err := s.Ticket(f.ctx, "link", muster.Digest{7}, false); err == nil {
		all["ticket"] = ticket
	}
	for _, id := range ids {
		reports := get[[]muster.ReportStanding](f.T)(s.HostReports(f.ctx, id, 0, 1000))
		keep(all, "reports of "+string(id), nil, reports)
		keep(all, "custody of "+string(id), nil, get[[]muster.CustodyEvent](f.T)(s.Custody(f.ctx, id)))
		all["enrolled "+string(id)] = get[muster.Enrolled](f.T)(s.Enrolled(f.ctx, id))
		for _, r := range reports {
			if r.Evidence {
				keep(all, "evidence of "+r.Digest.String(), nil, get[[]muster.StoredEnvelope](f.T)(s.Envelope(f.ctx, id, r.Seq)))
			}
		}
	}
	return all
}

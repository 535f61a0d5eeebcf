// Package storetest is the suite that every store.Store must pass.
package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// Open gives an empty store with the options; the suite closes it.
type Open func(t *testing.T, o store.Options) store.Store

// Run runs the suite. open may be called several times in one test.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, *fixture){
		"EnrollAndApprove": enrollAndApprove, "Statements": statements, "PendingIsShownNowhere": pendingIsShownNowhere,
		"Retire": retire, "ClearClone": clearClone, "Waits": waits,
		"FirstReport": firstReport, "OnlyWhatDiffers": onlyWhatDiffers, "RemovedControl": removedControl,
		"Duplicate": duplicate, "Conflict": conflict, "BrokenChain": brokenChain, "LateReport": lateReport,
		"OneTransaction": oneTransaction, "Chains": chains, "HostReports": hostReports, "MissingReports": missingReports,
		"Stale": stale, "StaleAfter": staleAfter, "Standing": standing, "Counting": counting, "Lists": lists, "Past": past,
		"Policies": policies, "Rings": rings, "PolicyEffect": policyEffect, "Custody": custody, "AuditLog": auditLog,
		"Clones": clones, "Moves": moves, "Reimaged": reimaged, "SlowClockLivesOn": slowClockLivesOn, "Impostors": impostors, "Audits": audits,
		"Expected": expected, "Contacts": contacts, "Asks": asks, "Find": find, "Tickets": tickets, "Events": events, "Deliveries": deliveries,
		"Rollup": rollup, "ClockBack": clockBack, "Retain": retain, "Once": once, "Watch": watch, "About": about, "Dump": dump,
		"AsOf": asOf, "Hindsight": hindsight, "Concurrent": concurrent, "Crowd": crowd,
	} {
		t.Run(name, func(t *testing.T) { test(t, newFixture(t, open)) })
	}
}

type fixture struct {
	*testing.T
	store.Store
	ctx  context.Context
	now  time.Time
	open Open
}

func newFixture(t *testing.T, open Open) *fixture {
	f := &fixture{T: t, ctx: t.Context(), now: time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC), open: open}
	f.Store = f.another(open)
	return f
}

// another opens an empty store with the clock of the fixture.
func (f *fixture) another(open Open) store.Store {
	f.Helper()
	s := open(f.T, store.Options{Now: func() time.Time { return f.now }})
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	return s
}

// HostID invents a valid host id.
func HostID(n int) muster.HostID { return muster.NewHostID(fmt.Appendf(nil, "host %d", n)) }

// entry is a line of the audit log, by the security officer.
func (f *fixture) entry(action string, object any) muster.LogEntry {
	return muster.LogEntry{At: f.now, Actor: "ciso", Action: action, Object: fmt.Sprint(object)}
}

func (f *fixture) approve(id muster.HostID) error {
	return f.Approve(f.ctx, id, f.entry("approve", id))
}

// hosts reads every page.
func (f *fixture) hosts(q muster.HostQuery) []muster.HostStanding {
	f.Helper()
	return pages(f.ctx, f.T, f, muster.View{}, q)
}

func pages(ctx context.Context, t *testing.T, r store.Reader, v muster.View, q muster.HostQuery) (list []muster.HostStanding) {
	t.Helper()
	for {
		page := get[muster.HostPage](t)(r.Hosts(ctx, v, q))
		list = append(list, page.Hosts...)
		if q.After = page.Next; page.Next == "" {
			return list
		}
	}
}

func (f *fixture) enroll(n int, county muster.County, profile muster.Profile, approved bool) muster.HostID {
	f.Helper()
	id := HostID(n)
	state, err := f.Enroll(f.ctx, muster.Enrolled{
		Host:      muster.Host{ID: id, Hostname: fmt.Sprint("pc", n), County: county, Profile: profile, Platform: muster.Linux},
		PublicKey: []byte("key of " + id), Agent: "1",
	}, approved, f.now)
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
		Way:      muster.WayUplink,
		Envelope: muster.StoredEnvelope{Seq: seq, Month: f.now.Year()*100 + int(f.now.Month()), Size: 9, Body: fmt.Appendf(nil, "body of %s %d", id, seq)},
	}
	if seq > 1 {
		a.Header.Prev = digest(id, seq-1)
	}
	a.Envelope.Digest = digest(id, seq)
	var findings []muster.Finding
	for i, s := range statuses {
		c := fmt.Sprint("C", i+1)
		a.Verdicts = append(a.Verdicts, muster.Verdict{Control: c, Status: s, Evidence: []byte("evidence")})
		findings = append(findings, muster.Finding{Control: c, Status: s, Severity: severityOf(c)})
		a.GateFails = a.GateFails || s == muster.StatusFail && severityOf(c).Gates()
	}
	a.Summary = muster.Summarize(findings)
	return a
}

// severityOf a control: C0, C4 and C8 do not gate.
func severityOf(control string) muster.Severity {
	if n := control[len(control)-1] - '0'; n%4 > 0 {
		return muster.SeverityCritical
	}
	return muster.SeverityMedium
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

func second[T any](_ T, err error) error { return err }

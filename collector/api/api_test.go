package api

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies"
)

// site is a state with two counties, a real store and the API before it.
type site struct {
	testing.TB
	ctx context.Context
	store.Store
	Options
	handler http.Handler
	now     time.Time
	keys    map[muster.HostID]*ecdsa.PrivateKey
	hosts   map[muster.HostID]muster.Host
	// odd has a name that no spreadsheet should believe, far is of another county,
	// silent has reported long ago, waiting waits.
	odd, far, silent, waiting muster.HostID
	logFails, closed          bool
}

// acts does to a store what package collector does, without its judgement of bundles.
type acts struct{ *site }

func (a acts) entry(actor, action string, object any) muster.LogEntry {
	return muster.LogEntry{At: a.now, Actor: actor, Action: action, Object: fmt.Sprint(object)}
}

func (a acts) Approve(ctx context.Context, id muster.HostID, actor string) error {
	return a.Store.Approve(ctx, id, a.entry(actor, "approve", id))
}

func (a acts) Retire(ctx context.Context, id muster.HostID, actor string) error {
	return a.Store.Retire(ctx, id, a.entry(actor, "retire", id))
}

func (a acts) ClearClone(ctx context.Context, id muster.HostID, actor string) error {
	return a.Store.ClearClone(ctx, id, a.entry(actor, "clear_clone", id))
}

func (a acts) RequestAudit(ctx context.Context, id muster.HostID, actor string) error {
	return a.Store.RequestAudit(ctx, id, a.entry(actor, "request_audit", id))
}

func (a acts) Publish(ctx context.Context, bundle []byte, ring muster.Ring, actor string) (muster.Release, error) {
	if string(bundle) == "junk" {
		return muster.Release{}, Refused(errors.New("this is no policy bundle"))
	}
	r := muster.Release{Version: int64(len(bundle)), Revision: "r", Digest: wire.EnvelopeDigest(bundle).String(), Policy: "policy",
		Bundle: bundle, Ring: ring, Actor: actor, Published: a.now}
	return r, a.Store.Publish(ctx, r)
}

func (a acts) Promote(ctx context.Context, version int64, actor string) (muster.Release, error) {
	return a.roll(ctx, version, muster.RingAll, false, a.entry(actor, "promote_policy", version))
}

func (a acts) Pause(ctx context.Context, version int64, actor string) (muster.Release, error) {
	return a.roll(ctx, version, muster.RingAll, true, a.entry(actor, "pause_policy", version))
}

func (a acts) roll(ctx context.Context, version int64, ring muster.Ring, paused bool, e muster.LogEntry) (muster.Release, error) {
	releases, err := a.Store.Releases(ctx)
	if err != nil {
		return muster.Release{}, err
	}
	for _, r := range releases {
		if r.Version == version {
			r.Ring, r.Paused = ring, paused
			return r, a.Store.Roll(ctx, version, ring, paused, e)
		}
	}
	return muster.Release{}, fs.ErrNotExist
}

func (a acts) SetRing(ctx context.Context, m muster.RingMember, actor string) error {
	if _, err := muster.ParseRing(string(m.Ring)); err != nil {
		return Refused(err)
	}
	return a.Store.SetRing(ctx, m, a.entry(actor, "set_ring", m.Ring))
}

func (a acts) Expect(ctx context.Context, county muster.County, list []muster.ExpectedHost, actor string) error {
	return a.Store.Expect(ctx, county, list, a.entry(actor, "expect_hosts", county))
}

func (a acts) SetContacts(ctx context.Context, county muster.County, list []muster.Contact, actor string) error {
	return a.Store.SetContacts(ctx, county, list, a.entry(actor, "set_contacts", county))
}

func (a acts) Ask(ctx context.Context, ask muster.Ask, actor string) (int64, error) {
	if ask.Reason == "" {
		return 0, Refused(errors.New("the reason is missing"))
	}
	return a.Store.Ask(ctx, ask, a.entry(actor, "ask_waiver", ask.Control))
}

func (a acts) Answer(ctx context.Context, id int64, state muster.AskState, answer, actor string) error {
	return a.Store.Answer(ctx, id, state, answer, a.entry(actor, "answer_ask", id))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{TB: t, ctx: t.Context(), now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), keys: map[muster.HostID]*ecdsa.PrivateKey{}, hosts: map[muster.HostID]muster.Host{}}
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "muster.db"), store.Options{Now: func() time.Time { return s.now }})
	must(t, err)
	t.Cleanup(func() {
		if !s.closed {
			must(t, db.Close())
		}
	})
	s.Store = db
	until := s.now.AddDate(0, 6, 0)
	s.Options = Options{
		Store: db, Act: acts{s}, Site: "State of Test", Catalogue: policies.Catalogue, Open: ingest.OpenStored, Now: func() time.Time { return s.now },
		Waivers: func() []muster.Waiver {
			return []muster.Waiver{
				{ID: "w1", Control: "MVS-ENC-01", County: "17031", Reason: "new disks are on their way", Approver: "ciso", Approved: s.now.AddDate(0, -1, 0), Expires: until},
				{ID: "w2", Control: "MVS-ENC-01", Host: s.far, Reason: "old", Approver: "ciso", Approved: s.now.AddDate(-1, 0, 0), Expires: s.now.AddDate(0, -1, 0)},
			}
		},
		Known: func(string) bool { return true },
		Attestations: func() []muster.Attestation {
			return []muster.Attestation{{ID: "a1", Claim: "restore_tested", County: "17043", On: s.now.AddDate(0, -1, 0), By: "clerk", Until: until}}
		},
		Courier: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", typeCourier)
			_, _ = io.Copy(w, r.Body)
		}),
		Who: func(*http.Request) muster.Peer {
			return muster.Peer{Login: "ciso@example.gov", Roles: []muster.Role{muster.RoleCISO, muster.CountyRole("17031")}}
		},
		Actor: func(*http.Request) string { return "ciso@example.gov" },
		Log: func(r *http.Request, action, object string) error {
			if s.logFails {
				return errors.New("the disk is full")
			}
			return db.Log(r.Context(), muster.LogEntry{At: s.now, Actor: "ciso@example.gov", Action: action, Object: object})
		},
	}
	a, err := New(s.Options)
	must(t, err)
	mux := http.NewServeMux()
	for pattern, h := range a.Handlers() {
		mux.Handle(pattern, h)
	}
	s.handler = mux
	s.fill()
	return s
}

// fill gives the site three weeks of history.
func (s *site) fill() {
	s.silent = s.enroll("pc-silent", "17031", muster.Workstation, true)
	s.commit(s.report(s.silent, 1, map[string]muster.Status{"MVS-ENC-01": muster.StatusPass}))
	s.odd = s.enroll("=cmd|'/c calc'!A1, \"x\"\nü", "17031", muster.Workstation, true)
	s.far = s.enroll("ems-far", "17043", muster.EMS, true)
	s.waiting = s.enroll("pc-waiting", "17031", muster.Workstation, false)
	must(s.TB, s.Store.Expect(s.ctx, "17031", []muster.ExpectedHost{{Name: "pc-silent", Note: "front desk"}, {Name: "never-there", Profile: muster.EMS}},
		muster.LogEntry{At: s.now, Actor: "ciso", Action: "expect_hosts", Object: "17031"}))
	must(s.TB, s.Store.SetContacts(s.ctx, "17031", []muster.Contact{{Name: "=clerk", Phone: "+1 312 555 0100"}}, muster.LogEntry{At: s.now, Actor: "ciso", Action: "set_contacts"}))
	_, err := s.Store.Ask(s.ctx, muster.Ask{County: "17031", Host: s.odd, Control: "MVS-ENC-01", Reason: "new disks", Until: s.now.AddDate(0, 1, 0)},
		muster.LogEntry{At: s.now, Actor: "clerk", Action: "ask_waiver"})
	must(s.TB, err)
	for n := uint64(1); n <= 20; n++ {
		s.now = s.now.AddDate(0, 0, 1)
		status := muster.Status(1 + n%3)
		s.commit(
			s.report(s.odd, n, map[string]muster.Status{"MVS-ENC-01": status, "MVS-ACC-01": muster.StatusPass, "MVS-NET-01": muster.StatusUnknown, "=odd,control": muster.StatusFail}),
			s.report(s.far, n, map[string]muster.Status{"MVS-ENC-01": muster.StatusFail, "MVS-ACC-01": muster.StatusPass, "MVS-EMS-01": muster.StatusNotApplicable}))
		must(s.TB, s.Store.Rollup(s.ctx, s.now.Add(-2*time.Minute)))
	}
	must(s.TB, s.Store.KeepCustody(s.ctx, []muster.CustodyEvent{{At: s.now, Act: muster.CustodyWrote, By: string(s.far), File: "0123456789abcdef", Host: s.far, From: 1, To: 20}}))
	must(s.TB, s.Store.Publish(s.ctx, muster.Release{Version: 1, Revision: "r1", Digest: strings.Repeat("a", 64), Policy: "policy", Bundle: []byte("b"),
		Ring: muster.RingCanary, Actor: "ciso", Published: s.now}))
	must(s.TB, s.Store.SetRing(s.ctx, muster.RingMember{County: "17043", Ring: muster.RingCanary}, muster.LogEntry{At: s.now, Actor: "ciso", Action: "set_ring"}))
	must(s.TB, s.Store.Distribute(s.ctx, func(muster.Event) []string { return []string{"chat"} }))
}

func (s *site) enroll(name string, county muster.County, profile muster.Profile, approved bool) muster.HostID {
	s.Helper()
	key, err := wire.NewKey()
	must(s.TB, err)
	id, err := wire.HostIDOf(&key.PublicKey)
	must(s.TB, err)
	s.keys[id] = key
	s.hosts[id] = muster.Host{ID: id, Hostname: name, County: county, Profile: profile, Platform: muster.Windows}
	_, err = s.Enroll(s.ctx, muster.Enrolled{Host: s.hosts[id],
		PublicKey: []byte(id), Agent: "1.0"}, approved, s.now)
	must(s.TB, err)
	return id
}

// report is a signed one, as ingest would store it.
func (s *site) report(id muster.HostID, seq uint64, statuses map[string]muster.Status) muster.Accepted {
	s.Helper()
	h := s.hosts[id]
	r := muster.Report{Header: muster.Header{Schema: 1, Host: id, Seq: seq, CollectedAt: s.now.Add(-time.Minute).Truncate(time.Second), Agent: "1.0",
		PolicyRevision: "r1", PolicyDigest: "policy", County: h.County, Profile: h.Profile, Platform: h.Platform, Hostname: h.Hostname}}
	var findings []muster.Finding
	fails := false
	for control, status := range statuses {
		v := muster.Verdict{Control: control, Status: status}
		f := muster.Finding{Status: status, Severity: muster.SeverityHigh}
		if id == s.far && status == muster.StatusFail {
			v.Waiver, f.Waiver = "w2", &muster.Waiver{}
		}
		r.Verdicts, findings = append(r.Verdicts, v), append(findings, f)
		fails = fails || status == muster.StatusFail && v.Waiver == ""
	}
	content, err := wire.EncodeReport(&r)
	must(s.TB, err)
	signed, err := wire.Sign(wire.KindReport, content, s.keys[id], string(id))
	must(s.TB, err)
	f, err := wire.NewFrame(id, seq, signed, nil)
	must(s.TB, err)
	return muster.Accepted{Header: r.Header, Verdicts: r.Verdicts, Summary: muster.Summarize(findings), GateFails: fails, Way: muster.WayUplink,
		Envelope: muster.StoredEnvelope{Seq: seq, Digest: wire.EnvelopeDigest(signed), Base: f.Base, Size: f.Size, Body: f.Body, Month: 202611}}
}

func (s *site) commit(reports ...muster.Accepted) {
	s.Helper()
	_, err := s.Commit(s.ctx, reports)
	must(s.TB, err)
}

// ask sends a request; header lines are "Name: value".
func (s *site) ask(method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(s.ctx, method, target, strings.NewReader(body))
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// ask for JSON that must be there.
func (s *site) get(target string) string {
	s.Helper()
	w := s.ask(http.MethodGet, target, "")
	if w.Code != http.StatusOK {
		s.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	return w.Body.String()
}

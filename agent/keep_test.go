package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies/bundle"
)

// The uplink brings a policy once; where this computer fails to keep it, it must
// not be thrown away.
func TestPolicyThatCannotBeKeptWaits(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	a.send(t, dir, bundle.BuildOptions{Version: 2})
	inTheWay := filepath.Join(dir, "policy", "bundle.tar.gz", "x")
	if err := os.MkdirAll(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	if res := mustAudit(t, o); res.Policy != agent.PolicyBuiltIn || !mentions(res.Warnings, "cannot be kept") {
		t.Errorf("policy %v, warnings %q", res.Policy, res.Warnings)
	}
	if err := os.RemoveAll(filepath.Dir(inTheWay)); err != nil {
		t.Fatal(err)
	}
	if res := mustAudit(t, o); res.Policy != agent.PolicyState || res.Audit.Policy.Stale || len(res.Warnings) > 0 {
		t.Errorf("policy %v, warnings %q", res.Policy, res.Warnings)
	}
}

// A power loss between the last good policy and the version floor must not let
// an older policy in.
func TestPolicyFloorAfterPowerLoss(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	a.send(t, dir, bundle.BuildOptions{Version: 5, Revision: "new"})
	mustAudit(t, o)
	if err := os.WriteFile(filepath.Join(dir, "policy", "floor"), []byte("2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	a.send(t, dir, bundle.BuildOptions{Version: 4, Revision: "old"})
	if res := mustAudit(t, o); res.Audit.Policy.Revision != "new" || !mentions(res.Warnings, "older than version 5") {
		t.Errorf("policy %+v, warnings %q", res.Audit.Policy, res.Warnings)
	}
}

// A policy from a file counts as little as one from the inbox where it is older.
func TestOlderPolicyOfAFileKeepsNoReport(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	a.send(t, dir, bundle.BuildOptions{Version: 5})
	mustAudit(t, o)
	for version, want := range map[int64]uint64{4: 0, 6: 3} {
		a.send(t, dir, bundle.BuildOptions{Version: version})
		o.Bundle = filepath.Join(t.TempDir(), "policy.tar.gz")
		if err := os.Rename(filepath.Join(dir, "inbox", "policy.tar.gz"), o.Bundle); err != nil {
			t.Fatal(err)
		}
		if res := mustAudit(t, o); res.Policy != agent.PolicyFile || res.Report != want || want == 0 && !strings.Contains(res.Outcome, "older than version 5") {
			t.Errorf("version %d: report %d, %s", version, res.Report, res.Outcome)
		}
	}
}

// Whatever hinders a report, the request for an audit is answered: a unit that
// watches for it would otherwise start audits without end.
func TestAuditRequestIsTakenWithoutReport(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	request := filepath.Join(dir, "inbox", "audit-request")
	if err := os.WriteFile(request, []byte("now\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	o.Answer = func(context.Context, []muster.Fact) []muster.FactResult {
		if err := os.Mkdir(filepath.Join(dir, "outbox", "00000002.report"), 0o700); err != nil {
			t.Error(err)
		}
		return nil
	}
	if res := mustAudit(t, o); res.Report != 0 || !mentions(res.Warnings, "could not be kept") {
		t.Errorf("report %d, warnings %q", res.Report, res.Warnings)
	}
	if _, err := os.Stat(request); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the request is still there: %v", err)
	}
}

// With the key lost, the reports of the host that was must not be continued by
// the host that is.
func TestLostKeyBesideReports(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	if err := os.RemoveAll(filepath.Join(dir, "key")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if res := mustAudit(t, o); res.Report != 0 || !mentions(res.Warnings, "holds reports of host") {
			t.Errorf("report %d, warnings %q", res.Report, res.Warnings)
		}
	}
	if err := os.Rename(filepath.Join(dir, "outbox"), filepath.Join(t.TempDir(), "outbox")); err != nil {
		t.Fatal(err)
	}
	if res := mustAudit(t, o); res.Report != 1 {
		t.Errorf("a new host on purpose: report %d, warnings %q", res.Report, res.Warnings)
	}
}

// The uplink chooses names of files and words of its status; none of them may
// play with the administrator's terminal.
func TestUplinksWordsAreFitForATerminal(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	uplink := `{"state": "act\u001bive", "last_contact": "2026-01-01T00:00:00Z", "error": "\u001b[2J", "refused": [{"seq": 1, "reason": "\u001b[2J"}]}`
	if err := os.WriteFile(filepath.Join(dir, "status", "uplink.json"), []byte(uplink), 0o644); err != nil {
		t.Fatal(err)
	}
	said := ""
	if os.WriteFile(filepath.Join(dir, "receipts", "\x1b[2J.receipt"), []byte("x"), 0o644) == nil { // not a name on Windows
		res := mustAudit(t, o)
		if !mentions(res.Warnings, "[2J.receipt") {
			t.Errorf("warnings %q", res.Warnings)
		}
		said = strings.Join(res.Warnings, "")
	}
	s, err := agent.ReadStatus(dir, a.site, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if said += fmt.Sprint(s.Problems, *s.Uplink); strings.Contains(said, "\x1b") {
		t.Errorf("%q", said)
	}
}

func TestReadReportRefusesOtherPapers(t *testing.T) {
	key, err := wire.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	enrollment, err := wire.SignEnrollment(muster.Enrollment{County: "17031"}, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"enrollment": enrollment, "junk": []byte("\xd2junk"), "half": enrollment[:20]} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := agent.ReadReport("", path); !errors.Is(err, wire.ErrMalformed) || !strings.Contains(err.Error(), "no signed report") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A clock that was set back changes nothing of the order, and a host that moves
// county meanwhile still makes a newer statement about itself.
func TestClockSetBack(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	now := time.Now()
	audit := func(county muster.County) (*muster.Report, muster.Enrollment) {
		t.Helper()
		a.site.County = county
		mustAudit(t, agent.Options{Site: a.site, StateDir: dir, Clock: func() time.Time { return now }})
		r, err := agent.ReadReport(dir, "latest")
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "outbox", "enrollment.cose"))
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := wire.VerifyEnrollment(b)
		if err != nil {
			t.Fatal(err)
		}
		return r, e
	}
	first, home := audit("17031")
	now = now.AddDate(-6, 0, 0)
	second, moved := audit("17033")
	if second.Header.Seq != first.Header.Seq+1 || second.Header.Prev.IsZero() || !second.Header.CollectedAt.Before(first.Header.CollectedAt) {
		t.Errorf("report %d of %v follows report %d of %v", second.Header.Seq, second.Header.CollectedAt, first.Header.Seq, first.Header.CollectedAt)
	}
	if moved.County != "17033" || !moved.MadeAt.After(home.MadeAt) {
		t.Errorf("the statement of %v is not newer than that of %v", moved.MadeAt, home.MadeAt)
	}
}

// However many facts a policy asks for, gathering them ends.
func TestGatheringEnds(t *testing.T) {
	mustAudit(t, agent.Options{Answer: func(ctx context.Context, _ []muster.Fact) []muster.FactResult {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("there is no end to it")
		}
		return nil
	}})
}

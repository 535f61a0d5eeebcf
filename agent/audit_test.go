package agent_test

import (
	"crypto/ecdsa"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

// authority is a state: its keys, and a site file that trusts them.
type authority struct {
	key  *ecdsa.PrivateKey
	site *muster.Site
}

func newAuthority(t *testing.T, county muster.County) authority {
	t.Helper()
	key, err := wire.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return authority{key, &muster.Site{
		Schema: muster.SiteSchema, Name: "Example", State: county.State(), County: county, Collector: "https://c.example",
		PolicyKeys: [][]byte{der}, ReceiptKeys: [][]byte{der},
	}}
}

// send leaves a policy in the inbox, as the uplink does.
func (a authority) send(t *testing.T, dir string, o bundle.BuildOptions) {
	t.Helper()
	b, err := bundle.Build(policies.FS(), o)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = bundle.Sign(b, a.key); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "inbox", "policy.tar.gz"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func mustAudit(t *testing.T, o agent.Options) *agent.Result {
	t.Helper()
	res, err := agent.Audit(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func stateDir(t *testing.T) string { return filepath.Join(t.TempDir(), "state") }

func TestStalePolicyStillJudges(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	a.send(t, dir, bundle.BuildOptions{Version: 2, Expires: time.Now().Add(-time.Hour)})
	res := mustAudit(t, o)
	if res.Policy != agent.PolicyState || !res.Audit.Policy.Stale || !res.Audit.Policy.Signed || res.Report != 2 {
		t.Errorf("policy %v, %+v, report %d", res.Policy, res.Audit.Policy, res.Report)
	}
	if !mentions(res.Warnings, "the policy expired") {
		t.Errorf("warnings %q", res.Warnings)
	}
}

// When the state changes its keys, a policy under the old key judges no more.
func TestPolicyOfRevokedKey(t *testing.T) {
	old, now, dir := newAuthority(t, "17031"), newAuthority(t, "17031"), stateDir(t)
	mustAudit(t, agent.Options{Site: old.site, StateDir: dir})
	old.send(t, dir, bundle.BuildOptions{Version: 2})
	if res := mustAudit(t, agent.Options{Site: old.site, StateDir: dir}); res.Policy != agent.PolicyState {
		t.Fatalf("policy %v, warnings %q", res.Policy, res.Warnings)
	}
	res := mustAudit(t, agent.Options{Site: now.site, StateDir: dir})
	if res.Policy != agent.PolicyBuiltIn || !mentions(res.Warnings, "cannot be used") {
		t.Errorf("policy %v, warnings %q", res.Policy, res.Warnings)
	}
}

// A version number stands for one content.
func TestSameVersionOtherContent(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	a.send(t, dir, bundle.BuildOptions{Version: 2, Revision: "first"})
	mustAudit(t, o)
	a.send(t, dir, bundle.BuildOptions{Version: 2, Revision: "second"})
	res := mustAudit(t, o)
	if res.Audit.Policy.Revision != "first" || !mentions(res.Warnings, "with another content") {
		t.Errorf("policy %+v, warnings %q", res.Audit.Policy, res.Warnings)
	}
	a.send(t, dir, bundle.BuildOptions{Version: 2, Revision: "first"})
	if res := mustAudit(t, o); len(res.Warnings) > 0 {
		t.Errorf("the same again: warnings %q", res.Warnings)
	}
}

func TestSiteOfAnotherState(t *testing.T) {
	dir := stateDir(t)
	mustAudit(t, agent.Options{Site: newAuthority(t, "17031").site, StateDir: dir})
	_, err := agent.Audit(t.Context(), agent.Options{Site: newAuthority(t, "39049").site, StateDir: dir})
	var input *agent.InputError
	if !errors.As(err, &input) || !strings.Contains(err.Error(), "field state") || input.Hint() == "" {
		t.Errorf("%v", err)
	}
	// Another county of the same state is a move that the state decides about.
	if res := mustAudit(t, agent.Options{Site: newAuthority(t, "17043").site, StateDir: dir}); res.Report != 2 {
		t.Errorf("report %d, warnings %q", res.Report, res.Warnings)
	}
}

func TestTwoAuditsAtOnce(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	folder, err := state.Open(dir, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := folder.Lock()
	if err != nil {
		t.Fatal(err)
	}
	res := mustAudit(t, o)
	if res.Report != 0 || len(res.Audit.Findings) == 0 || !mentions(res.Warnings, "another muster audit is running") {
		t.Errorf("report %d, warnings %q", res.Report, res.Warnings)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if res := mustAudit(t, o); res.Report != 2 {
		t.Errorf("report %d after the lock", res.Report)
	}
}

func TestAuditRequestIsTaken(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	o := agent.Options{Site: a.site, StateDir: dir}
	mustAudit(t, o)
	request := filepath.Join(dir, "inbox", "audit-request")
	if err := os.WriteFile(request, []byte("now\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mustAudit(t, o)
	if _, err := os.Stat(request); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the request is still there: %v", err)
	}
}

// Problems tell what is wrong with a host, from its files alone.
func TestStatusProblems(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	mustAudit(t, agent.Options{Site: a.site, StateDir: dir})
	problems := func(site *muster.Site, now time.Time) (list []string) {
		t.Helper()
		s, err := agent.ReadStatus(dir, site, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Problems {
			if p.Do == "" {
				t.Errorf("nothing to do about %q", p.What)
			}
			list = append(list, p.What)
		}
		return list
	}
	now := time.Now()
	if p := problems(a.site, now); len(p) > 0 {
		t.Errorf("a new host: %q", p)
	}
	if p := problems(nil, now); !mentions(p, "no site file") {
		t.Errorf("without a site: %q", p)
	}
	if p := problems(a.site, now.Add(30*24*time.Hour)); !mentions(p, "30 days old") {
		t.Errorf("a month later: %q", p)
	}
	if p := problems(a.site, now.Add(-30*24*time.Hour)); !mentions(p, "clock was set back") {
		t.Errorf("a month before: %q", p)
	}
	uplink := `{"state": "pending", "error": "no route", "refused": [{"seq": 2, "code": "conflict", "reason": "clo\u001bned"}, {"seq": 1, "reason": "old"}]}`
	if err := os.WriteFile(filepath.Join(dir, "status", "uplink.json"), []byte(uplink), 0o644); err != nil {
		t.Fatal(err)
	}
	if p := problems(a.site, now); !mentions(p, "not approved") || !mentions(p, "no route") || !mentions(p, "the newest being 2: cloned") {
		t.Errorf("the uplink's trouble: %q", p)
	}
	if err := os.WriteFile(filepath.Join(dir, "status", "audit.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if p := problems(a.site, now); !mentions(p, "damaged") || !mentions(p, "never audited") {
		t.Errorf("a damaged status file: %q", p)
	}
}

func mentions(list []string, text string) bool {
	return strings.Contains(strings.Join(list, "\n"), text)
}

package agent_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/policies/bundle"
)

const layeredControl = `# METADATA
# title: The lists say so
# description: Why.
# custom:
#   id: MVS-T-1
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [system]
#   lists: [l, attestations]
#   maps: {cis: ["1"]}
#   remedy: Remedy.
package muster.controls.t_1

violations contains sprintf("%v, tested by %v", [data.lists.l, data.lists.attestations.restore_tested_by])
`

// layeredPolicy gives a folder with one control that tells which lists it sees.
func layeredPolicy(t *testing.T, more map[string]string) string {
	t.Helper()
	files := map[string]string{
		"controls/t_1.rego":        layeredControl,
		"facts/t/data.yaml":        "system: {windows: SELECT name FROM os_version, linux: SELECT name FROM os_version}",
		"freshness/data.yaml":      "{l: 0, attestations: 0}",
		"lists/data.yaml":          `l: {dated: "2026-01-01", source: s, value: state}`,
		"counties/17031/data.yaml": `lists: {l: {dated: "2026-01-01", source: s, value: county}}`,
		"attestations/data.yaml": `
- {id: a, claim: restore_tested, county: "17031", by: clerk, on: "2026-01-01", until: "2027-01-01"}
- {id: b, claim: restore_tested, by: state, on: "2025-01-01", until: "2099-01-01"}`,
	}
	for name, text := range more {
		files[name] = text
	}
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A host is judged by the lists and attestations that are for it, also where no
// report is kept; those that the user lays over them come last.
func TestAuditLaysLists(t *testing.T) {
	const during, after = "2026-06-01", "2028-01-01"
	dir := stateDir(t)
	here := newAuthority(t, "17031")
	host := mustAudit(t, agent.Options{Site: here.site, StateDir: dir}).Audit.HostID
	policy := layeredPolicy(t, map[string]string{
		"hosts/" + string(host) + "/data.yaml": `lists: {l: {dated: "2026-01-01", source: s, value: host}}`,
	})
	if got := agent.KnownHost(dir); got != host {
		t.Errorf("the state folder knows host %q, want %q", got, host)
	}
	for _, c := range []struct {
		name string
		o    agent.Options
		day  string
		want string
	}{
		{"no site", agent.Options{}, during, "state, tested by state"},
		{"another county", agent.Options{Site: newAuthority(t, "17033").site}, during, "state, tested by state"},
		{"the county", agent.Options{Site: here.site}, during, "county, tested by clerk"},
		{"its word has expired", agent.Options{Site: here.site}, after, "county, tested by state"},
		{"the host", agent.Options{Site: here.site, StateDir: dir}, during, "host, tested by clerk"},
		{"a file", agent.Options{Site: here.site, StateDir: dir, ListsText: []byte(`{"l": "file"}`)}, during, "file, tested by clerk"},
	} {
		now, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		c.o.Bundle, c.o.Unsigned, c.o.Now = policy, true, now
		f := mustAudit(t, c.o).Audit.Findings[0]
		if f.Status != muster.StatusFail || f.Violations[0].Found != c.want {
			t.Errorf("%s: %s %v %s, want %q", c.name, f.Status, f.Violations, f.Reason, c.want)
		}
	}
	// The same in an audit whose host is known from the key.
	o := agent.Options{Site: here.site, StateDir: dir, Bundle: policy, Unsigned: true}
	if f := mustAudit(t, o).Audit.Findings[0]; f.Status != muster.StatusFail || f.Violations[0].Found != "host, tested by clerk" {
		t.Errorf("%s %v", f.Status, f.Violations)
	}
}

// A policy that the mail brings lays its lists as well; one whose layer nobody
// could lay is not even built.
func TestMailedPolicyLaysLists(t *testing.T) {
	a, dir := newAuthority(t, "17031"), stateDir(t)
	mustAudit(t, agent.Options{Site: a.site, StateDir: dir})
	good, err := bundle.Build(os.DirFS(layeredPolicy(t, nil)), bundle.BuildOptions{Version: 1, Revision: "good"})
	if err != nil {
		t.Fatal(err)
	}
	if good, err = bundle.Sign(good, a.key); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "inbox", "policy.tar.gz"), good, 0o644); err != nil {
		t.Fatal(err)
	}
	res := mustAudit(t, agent.Options{Site: a.site, StateDir: dir})
	if res.Audit.Policy.Revision != "good" || res.Audit.Findings[0].Violations[0].Found != "county, tested by clerk" {
		t.Errorf("%+v %v %q", res.Audit.Policy, res.Audit.Findings, res.Warnings)
	}
	if _, err := bundle.Build(os.DirFS(layeredPolicy(t, map[string]string{"counties/17031/data.yaml": "lists: {k: {}}"})), bundle.BuildOptions{Version: 2}); err == nil {
		t.Error("a bundle with an unknown list in a layer is built")
	}
}

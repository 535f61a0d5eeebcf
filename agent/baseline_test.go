package agent_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/eval"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/builtin"
	"github.com/passmuster/muster/agent/facts/recorded"
	"github.com/passmuster/muster/policies/bundle"
)

// Each recording comes with the clock, the lists and the verdicts that the
// authors of the baseline worked out by hand.
func TestBaselineOverRecordings(t *testing.T) {
	expected, err := filepath.Glob("../testdata/hosts/*.expected.json")
	if err != nil || len(expected) == 0 {
		t.Fatal("no recordings", err)
	}
	for _, path := range expected {
		t.Run(filepath.Base(path), func(t *testing.T) { compareRecording(t, path) })
	}
}

func compareRecording(t *testing.T, path string) {
	var want struct {
		Now    time.Time
		Lists  json.RawMessage
		Expect map[string]struct {
			Status muster.Status
			Why    string
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	recording, err := recorded.Open(strings.TrimSuffix(path, ".expected.json") + ".json")
	if err != nil {
		t.Fatal(err)
	}
	b, err := bundle.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = b.WithLists(want.Lists); err != nil {
		t.Fatal(err)
	}
	schema := mustSchema(t)
	engine, err := recording.Engine(schema)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	host := muster.Host{Hostname: recording.Hostname, Profile: recording.Profile, Platform: recording.Platform}
	findings := audit(t, b, &facts.Gatherer{Builtin: engine, Schema: schema, Platform: host.Platform}, host, want.Now)
	for _, f := range findings {
		w, ok := want.Expect[f.Control]
		if !ok {
			t.Errorf("%s: the recording does not say what to expect", f.Control)
		} else if f.Status != w.Status {
			t.Errorf("%s: %s (%s) %v, want %s (%s)", f.Control, f.Status, f.Reason, f.Violations, w.Status, w.Why)
		}
	}
}

// The computer that runs the test is audited as well: whatever it answers, a
// control passes only on facts that are ok.
func TestBaselineOverThisComputer(t *testing.T) {
	b, err := bundle.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	platform := muster.Platform(runtime.GOOS)
	engine, err := facts.NewSQL("builtin", platform, builtin.Tables())
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	gatherer := &facts.Gatherer{Builtin: engine, Schema: mustSchema(t), Platform: platform}
	for _, profile := range []muster.Profile{muster.Workstation, muster.EMS} {
		findings := audit(t, b, gatherer, muster.Host{Hostname: "here", Profile: profile, Platform: platform}, b.Lists["lifecycle"].Dated)
		if len(findings) != len(b.Controls) {
			t.Errorf("%s: %d findings for %d controls", profile, len(findings), len(b.Controls))
		}
		for _, f := range findings {
			t.Logf("%s %s: %s %s %v", profile, f.Control, f.Status, f.Reason, f.Violations)
			if (f.Reason == "") != (f.Status == muster.StatusPass || f.Status == muster.StatusFail) {
				t.Errorf("%s: %s with reason %q", f.Control, f.Status, f.Reason)
			}
			if strings.Contains(f.Reason, "its policy") {
				t.Errorf("%s: %s", f.Control, f.Reason)
			}
		}
	}
}

func audit(t *testing.T, b *bundle.Bundle, g *facts.Gatherer, host muster.Host, now time.Time) []muster.Finding {
	t.Helper()
	ctx := context.Background()
	e, err := eval.New(b, host.Platform, host.Profile)
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]muster.FactResult{}
	for _, r := range g.Gather(ctx, eval.Facts(b, host.Platform, host.Profile, nil), nil) {
		results[r.Name] = r
	}
	findings, err := e.Eval(ctx, eval.Input{Host: host, Now: now, Facts: results})
	if err != nil {
		t.Fatal(err)
	}
	return findings
}

func mustSchema(t *testing.T) *facts.Schema {
	t.Helper()
	schema, err := facts.NewSchema(builtin.Tables())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { schema.Close() })
	return schema
}

package output

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sample has every status, a waiver, and evidence that would do harm if it
// were shown as it is.
func sample() View {
	findings := []muster.Finding{
		{Control: "MVS-A-01", Title: "The screen locks by itself", Severity: muster.SeverityMedium, Status: muster.StatusPass, Facts: []string{"screen"}},
		{Control: "MVS-A-02", Title: "Only approved programs run", Severity: muster.SeverityMedium, Status: muster.StatusFail, Facts: []string{"software"},
			Violations: []muster.Violation{{Subject: "=cmd|' /C calc'!A0", Found: "\x1b[2Jinstalled\u202e", Want: "not installed"}},
			Remedy:     "Remove the program."},
		{Control: "MVS-A-03", Title: "The disk is encrypted", Severity: muster.SeverityCritical, Status: muster.StatusFail, Facts: []string{"disk"},
			Violations: []muster.Violation{{Subject: "<script>alert(1)</script>", Found: "none", Want: "encrypted"}},
			Remedy:     "Ask IT to switch on encryption.", Notes: []string{"The disk is external."}},
		{Control: "MVS-A-04", Title: "Sign-in needs a password", Severity: muster.SeverityHigh, Status: muster.StatusUnknown, Facts: []string{"login"},
			Reason: "fact login: needs administrator rights", Remedy: "Switch it off."},
		{Control: "MVS-A-05", Title: "Old software is gone", Severity: muster.SeverityHigh, Status: muster.StatusFail,
			Waiver: &muster.Waiver{ID: "W-1", Control: "MVS-A-05", Reason: "the vendor needs it", Approver: "CISO", Expires: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}},
		{Control: "MVS-A-06", Title: "The network is closed", Severity: muster.SeverityHigh, Status: muster.StatusNotApplicable, Reason: "only for profile ems"},
		{Control: "MVS-A-07", Title: "Lists are new", Severity: muster.SeverityLow, Status: muster.StatusUnknown, Reason: "list lifecycle is missing"},
	}
	return View{
		Audit: &muster.Audit{
			Schema: muster.AuditSchema, Host: "CLERK-03", Profile: muster.Workstation, Platform: muster.Linux,
			AuditedAt: time.Date(2026, 11, 3, 8, 0, 0, 0, time.UTC),
			Policy:    muster.PolicyRef{Revision: "mvs-7", Digest: strings.Repeat("ab", 32), Signed: true},
			Summary:   muster.Summarize(findings), Findings: findings,
		},
		Controls: map[string]muster.Control{
			"MVS-A-03": {ID: "MVS-A-03", Why: "A stolen laptop is a breach.", Maps: map[string][]string{"cis": {"3.6"}, "csf": {"PR.DS-01"}}},
			"MVS-A-07": {ID: "MVS-A-07", Lists: []string{"lifecycle"}},
		},
		Facts:   map[string]muster.Fact{"disk": {Name: "disk", SQL: map[muster.Platform]string{muster.Linux: "SELECT name,\n  encrypted FROM disk_encryption"}}},
		Results: map[string]muster.FactResult{"login": {Name: "login", Status: muster.FactDenied, Duration: 250 * time.Millisecond}},
		Denied:  "Run again as administrator: sudo muster audit",
		Policy:  "signed by your state", Outcome: "Report 7 kept.", Warnings: []string{"the receipts folder is full"},
	}
}

func render(t *testing.T, format string, v View) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	explained := sample()
	explained.Explain, explained.Verbose, explained.Width = true, true, 60
	for name, v := range map[string]View{"audit": sample(), "explained": explained} {
		for _, format := range []string{"text", "html"} {
			file := filepath.Join("testdata", name+"."+format)
			got := render(t, format, v)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("%s (-want +got, -update rewrites):\n%s", file, d)
			}
		}
	}
}

// Whatever a host puts into its evidence, a terminal, a browser and a
// spreadsheet show it as text.
func TestHostileEvidence(t *testing.T) {
	v := sample()
	for _, format := range []string{"text", "csv", "html"} {
		if out := render(t, format, v); strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("%s lets control characters through", format)
		}
	}
	if out := render(t, "html", v); strings.Contains(out, "<script") {
		t.Error("html lets a tag through")
	}
	rows, err := csv.NewReader(strings.NewReader(render(t, "csv", v))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+len(v.Audit.Findings) {
		t.Errorf("csv has %d rows", len(rows))
	}
	for _, row := range rows {
		for _, cell := range row {
			if strings.HasPrefix(cell, "=") {
				t.Errorf("csv has a formula: %q", cell)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	v := sample()
	out := render(t, "json", v)
	for _, field := range []string{"findings", "violations", "notes", "facts"} {
		if strings.Contains(out, `"`+field+`": null`) {
			t.Errorf("%s is null", field)
		}
	}
	var a muster.Audit
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		t.Fatal(err)
	}
	if a.Summary != v.Audit.Summary || len(a.Findings) != len(v.Audit.Findings) {
		t.Errorf("the audit came back as %+v", a)
	}
	if v.Audit.Findings[0].Violations != nil {
		t.Error("the audit was changed")
	}
}

func TestJUnit(t *testing.T) {
	var doc junitSuites
	if err := xml.Unmarshal([]byte(render(t, "junit", sample())), &doc); err != nil {
		t.Fatal(err)
	}
	want := junitCounts{Name: "muster workstation", Tests: 7, Failures: 2, Errors: 2, Time: "0.250"}
	if doc.junitCounts != want || doc.Suite.junitCounts != want || doc.Suite.Skipped != 2 {
		t.Errorf("counts %+v, skipped %d", doc.junitCounts, doc.Suite.Skipped)
	}
	if root, _, _ := strings.Cut(render(t, "junit", sample()), "<testsuite "); strings.Contains(root, "skipped") {
		t.Errorf("junit-10.xsd knows no skipped at the root: %s", root)
	}
	for _, c := range doc.Suite.Cases {
		if want := map[bool]string{true: "0.250", false: "0.000"}[c.Class == "MVS-A-04"]; c.Time != want {
			t.Errorf("%s took %s", c.Class, c.Time)
		}
		if bare := c.Failure == nil && c.Error == nil && c.Skipped == nil; bare != (c.Class == "MVS-A-01") {
			t.Errorf("%s is passed: %v", c.Class, bare)
		}
	}
}

func TestSARIF(t *testing.T) {
	var log sarifLog
	if err := json.Unmarshal([]byte(render(t, "sarif", sample())), &log); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, r := range log.Runs[0].Results {
		if log.Runs[0].Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID || r.RuleIndex != i {
			t.Errorf("result %d names rule %d", i, r.RuleIndex)
		}
		got = append(got, strings.TrimSpace(r.Kind+" "+r.Level+strings.Repeat(" suppressed", len(r.Suppressions))))
	}
	want := []string{"pass none", "fail warning", "fail error", "open none", "fail error suppressed", "notApplicable none", "open none"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("kinds and levels %q", got)
	}
}

func TestHeadline(t *testing.T) {
	finding := func(s muster.Status, sev muster.Severity) muster.Finding {
		return muster.Finding{Status: s, Severity: sev}
	}
	pass := finding(muster.StatusPass, muster.SeverityHigh)
	for want, findings := range map[string][]muster.Finding{
		"Nothing was checked on H.": nil,
		"H meets the baseline.":     {pass},
		"H does not meet the baseline: 1 control fails, 1 of them critical or high.":                     {pass, finding(muster.StatusFail, muster.SeverityHigh)},
		"H meets the baseline, but 1 less urgent control fails.":                                         {pass, finding(muster.StatusFail, muster.SeverityLow)},
		"H meets the baseline, but 2 less urgent controls could not be checked.":                         {finding(muster.StatusUnknown, muster.SeverityLow), finding(muster.StatusUnknown, muster.SeverityLow)},
		"It is not known whether H meets the baseline: 1 critical or high control could not be checked.": {pass, finding(muster.StatusUnknown, muster.SeverityCritical)},
	} {
		v := View{Audit: &muster.Audit{Host: "H", Findings: findings, Summary: muster.Summarize(findings)}}
		if got := v.headline(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFound(t *testing.T) {
	for want, v := range map[string]muster.Violation{
		"D: 15% free (should be: 25% free)": {Subject: "D:", Found: "15% free", Want: "25% free"},
		"SMB1 (should be: off)":             {Subject: "SMB1", Want: "off"},
		"3 open":                            {Found: "3 open"},
	} {
		if got := found(v); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := wrap("one two three /a/path/that/is/longer/than/the/line four", 9)
	want := []string{"one two", "three", "/a/path/that/is/longer/than/the/line", "four"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

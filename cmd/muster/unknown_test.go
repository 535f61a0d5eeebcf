package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/cmd/muster/internal/output"
)

// passed is how each form shows a control that passed.
var passed = map[string]string{
	"text":  `(?m)^Pass$|[1-9]\d* pass`,
	"json":  `"status": "pass"|"meets_baseline": true`,
	"csv":   `,pass,`,
	"html":  `id="pass|[1-9]\d* pass`,
	"junit": `(?s)<testcase[^>]*>\s*</testcase>|<testcase[^>]*/>`,
	"sarif": `"kind": "pass"`,
}

// However the asking of the facts ends, short of an answer, no control passes,
// in no form of the answer, and the exit code is 3.
func TestNoFactNoPass(t *testing.T) {
	for _, host := range []string{"win11-workstation", "win10-ems", ""} {
		for _, profile := range []muster.Profile{muster.Workstation, muster.EMS} {
			for _, status := range []muster.FactStatus{muster.FactUnavailable, muster.FactDenied, muster.FactError, muster.FactTimeout} {
				name := host
				opts := agent.Options{Profile: profile, Answer: allAre(status)}
				if host != "" {
					opts.Recording = filepath.Join("..", "..", "testdata", "hosts", host+".json")
				} else {
					name = "this computer"
				}
				t.Run(name+" "+string(profile)+" "+status.String(), func(t *testing.T) { checkNoPass(t, opts) })
			}
		}
	}
}

func allAre(status muster.FactStatus) func(context.Context, []muster.Fact) []muster.FactResult {
	return func(_ context.Context, list []muster.Fact) (results []muster.FactResult) {
		for _, f := range list {
			results = append(results, muster.FactResult{Name: f.Name, Status: status, Reason: "so it was"})
		}
		return results
	}
}

func checkNoPass(t *testing.T, opts agent.Options) {
	res, err := agent.Audit(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if res.Audit.Summary.Unknown == 0 {
		t.Error("nothing is unknown")
	}
	var exit *exitError
	if err := verdict(res.Audit); !errors.As(err, &exit) || exit.code != exitUnknown {
		t.Errorf("exit: %v", err)
	}
	for _, format := range output.Formats() {
		var b bytes.Buffer
		if err := output.Write(&b, format, output.View{Audit: &res.Audit, Results: res.Results, Verbose: true}); err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(passed[format]).Find(b.Bytes()); m != nil || passed[format] == "" {
			t.Errorf("%s shows a pass: %q", format, m)
		}
	}
}

// The patterns above find a pass where there is one.
func TestPassIsFound(t *testing.T) {
	findings := []muster.Finding{{Control: "MVS-X-01", Title: "It is so", Status: muster.StatusPass}}
	v := output.View{Verbose: true, Audit: &muster.Audit{Findings: findings, Summary: muster.Summarize(findings)}}
	for _, format := range output.Formats() {
		var b bytes.Buffer
		if err := output.Write(&b, format, v); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(passed[format]).Match(b.Bytes()) {
			t.Errorf("%s: the pattern misses a pass in\n%s", format, b.String())
		}
	}
}

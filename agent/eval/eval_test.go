package eval_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/eval"
	"github.com/passmuster/muster/policies/bundle"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// header makes the METADATA of control MVS-T-<n>, package muster.controls.t_<n>.
func header(n int, custom string) string {
	return fmt.Sprintf(`# METADATA
# title: Title
# description: Why.
# custom:
#   id: MVS-T-%d
#   severity: high
#   profiles: [workstation]
#   platforms: [windows, linux]
#   maps: {cis: ["1"]}
#   remedy: Remedy.
%spackage muster.controls.t_%d
`, n, custom, n)
}

const oneFact = "#   facts: [a]\n"

// mustBundle makes a bundle of controls; facts a, b and c have statements for
// linux, w for windows only.
func mustBundle(tb testing.TB, lists string, controls ...string) *bundle.Bundle {
	tb.Helper()
	fsys := fstest.MapFS{
		"facts/t/data.yaml":   {Data: []byte("{a: {linux: SELECT 1}, b: {linux: SELECT 1}, c: {linux: SELECT 1}, w: {windows: SELECT 1}}")},
		"freshness/data.yaml": {Data: []byte("{fresh: 45}")},
		"lists/data.yaml":     {Data: []byte(lists)},
		"waivers/data.yaml": {Data: []byte(`[
			{id: W1, control: MVS-T-2, reason: r, approver: a, approved: "2026-01-01T00:00:00Z", expires: "2026-12-31T00:00:00Z"},
			{id: W2, control: MVS-T-1, reason: r, approver: a, approved: "2026-01-01T00:00:00Z", expires: "2026-02-01T00:00:00Z"}]`)},
	}
	for i, c := range controls {
		fsys[fmt.Sprintf("controls/t_%d.rego", i+1)] = &fstest.MapFile{Data: []byte(c)}
	}
	b, err := bundle.OpenDir(fsys)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func mustEval(tb testing.TB, b *bundle.Bundle, facts map[string]muster.FactResult) []muster.Finding {
	tb.Helper()
	e, err := eval.New(b, muster.Linux, muster.Workstation)
	if err != nil {
		tb.Fatal(err)
	}
	findings, err := e.Eval(context.Background(), input(facts))
	if err != nil {
		tb.Fatal(err)
	}
	return findings
}

func input(facts map[string]muster.FactResult) eval.Input {
	return eval.Input{Host: muster.Host{Hostname: "h", Profile: muster.Workstation, Platform: muster.Linux}, Now: now, Facts: facts}
}

func ok(names ...string) map[string]muster.FactResult {
	facts := map[string]muster.FactResult{}
	for _, name := range names {
		facts[name] = muster.FactResult{Name: name, Status: muster.FactOK, Rows: []muster.Row{{"x": "1"}}}
	}
	return facts
}

func TestVerdicts(t *testing.T) {
	const empty, found = "violations := set()", `violations contains {"subject": "s", "found": r.x, "want": 2} if some r in input.facts.a`
	denied := ok("a")
	denied["b"] = muster.FactResult{Status: muster.FactDenied, Reason: "needs root"}
	for name, c := range map[string]struct {
		custom, rego string
		facts        map[string]muster.FactResult
		status       muster.Status
		reason       string
	}{
		"pass":                         {oneFact, empty, ok("a"), muster.StatusPass, ""},
		"fail":                         {oneFact, found, ok("a"), muster.StatusFail, ""},
		"fact not asked":               {oneFact, empty, nil, muster.StatusUnknown, "fact a: unavailable: it was not asked"},
		"fact denied":                  {"#   facts: [a, b]\n", found, denied, muster.StatusUnknown, "fact b: denied: needs root"},
		"either is enough":             {"#   facts: [{any: [b, a]}]\n", empty, denied, muster.StatusPass, ""},
		"neither is there":             {"#   facts: [{any: [b, c]}]\n", empty, denied, muster.StatusUnknown, "fact b: denied: needs root; fact c: unavailable: it was not asked"},
		"also does not hide a finding": {oneFact + "#   also: [b]\n", found, denied, muster.StatusFail, ""},
		"also keeps from passing":      {oneFact + "#   also: [b]\n", empty, denied, muster.StatusUnknown, "nothing found, but fact b: denied: needs root"},
		"also of another platform":     {oneFact + "#   also: [w]\n", empty, ok("a"), muster.StatusPass, ""},
		"fact of another platform":     {"#   facts: [a, w]\n", empty, ok("a"), muster.StatusPass, ""},
		"only facts of another":        {"#   facts: [w]\n", empty, ok("w"), muster.StatusUnknown, "no fact of this control can be asked on linux"},
		"list missing":                 {oneFact + "#   lists: [nowhere]\n", empty, ok("a"), muster.StatusUnknown, "list nowhere is missing"},
		"list stale":                   {oneFact + "#   lists: [fresh]\n", empty, ok("a"), muster.StatusUnknown, "list fresh of 2026-09-01 is more than 45 days old"},
		"list that cannot be stale":    {oneFact + "#   lists: [old]\n", empty, ok("a"), muster.StatusPass, ""},
		"violations undefined":         {oneFact, "violations := set() if input.nothing", ok("a"), muster.StatusUnknown, "undefined"},
		"violations no set":            {oneFact, `violations := [1]`, ok("a"), muster.StatusUnknown, "no set"},
		"violations a function":        {oneFact, `violations(x) := {x}`, ok("a"), muster.StatusUnknown, "a function named violations"},
		"unknown a function":           {oneFact, empty + "\nunknown(x) := {x}", ok("a"), muster.StatusUnknown, "a function named unknown"},
		"no violations rule":           {oneFact, `x := 1`, ok("a"), muster.StatusUnknown, "no rule named violations"},
		"conflict":                     {oneFact, "violations := {1} if input.time\nviolations := {2} if input.host", ok("a"), muster.StatusUnknown, "its policy failed"},
		"builtin error":                {oneFact, `violations contains 1 if to_number("x") == 1`, ok("a"), muster.StatusUnknown, "its policy failed"},
		"does not parse":               {oneFact, `violations contains {`, ok("a"), muster.StatusUnknown, ""},
		"clock outside input":          {oneFact, `violations contains 1 if time.now_ns() > 0`, ok("a"), muster.StatusUnknown, "does not compile"},
		"network":                      {oneFact, `violations contains 1 if http.send({"method": "get", "url": "http://127.0.0.1"})`, ok("a"), muster.StatusUnknown, "does not compile"},
		"environment":                  {oneFact, `violations contains 1 if opa.runtime().env`, ok("a"), muster.StatusUnknown, "does not compile"},
		"inapplicable":                 {oneFact, empty + "\ninapplicable contains \"not here\"", ok("a"), muster.StatusNotApplicable, "not here"},
		"inapplicable text":            {oneFact, empty + "\ninapplicable := \"not here\"", ok("a"), muster.StatusNotApplicable, "not here"},
		"inapplicable of another kind": {oneFact, empty + "\ninapplicable := true", ok("a"), muster.StatusUnknown, "no set of texts"},
		"unknown":                      {oneFact, empty + "\nunknown contains \"cannot see\"", ok("a"), muster.StatusUnknown, "cannot see"},
		"unknown does not hide a fail": {oneFact, found + "\nunknown contains \"cannot see\"", ok("a"), muster.StatusFail, ""},
		"an absent fact is absent":     {oneFact + "#   also: [b]\n", "violations contains 1 if input.facts.b", denied, muster.StatusUnknown, "nothing found"},
	} {
		t.Run(name, func(t *testing.T) {
			lists := `{fresh: {dated: "2026-09-01", value: []}, old: {dated: "2020-01-01", value: []}}`
			source := header(1, c.custom) + c.rego + "\n"
			if name == "does not parse" {
				source = header(1, c.custom) + empty + "\n"
			}
			b := mustBundle(t, lists, source, header(2, oneFact)+found+"\n")
			if name == "does not parse" {
				b.Modules["controls/t_1.rego"] = []byte(header(1, c.custom) + c.rego)
				c.reason = "does not compile"
			}
			facts := c.facts
			if facts == nil {
				facts = ok()
			}
			f := mustEval(t, b, facts)
			if f[0].Status != c.status || !strings.Contains(f[0].Reason, c.reason) || (f[0].Reason == "") != (c.reason == "") {
				t.Errorf("%s because %q, want %s because %q", f[0].Status, f[0].Reason, c.status, c.reason)
			}
			if _, there := facts["a"]; there && f[1].Status != muster.StatusFail {
				t.Errorf("the other control is %s: %s", f[1].Status, f[1].Reason)
			}
			if f[0].Waiver != nil {
				t.Error("an expired waiver counts")
			}
			if f[1].Waiver == nil {
				t.Error("a waiver does not count")
			}
		})
	}
}

// A package of which only a part compiles might pass for want of the rest.
func TestPartOfAControlIsNotAsked(t *testing.T) {
	for name, part := range map[string]string{
		"does not compile": "package muster.controls.t_1\nunknown contains nothing(1)\n",
		"does not parse":   "package muster.controls.t_1\nunknown contains {\n",
	} {
		t.Run(name, func(t *testing.T) {
			// The neighbour's name begins alike.
			b := mustBundle(t, "{}", header(1, oneFact)+"violations := set()\n", header(11, oneFact)+"violations := set()\n")
			b.Modules["controls/part.rego"] = []byte(part)
			for _, f := range mustEval(t, b, ok("a")) {
				want := map[string]muster.Status{"MVS-T-1": muster.StatusUnknown, "MVS-T-11": muster.StatusPass}[f.Control]
				if f.Status != want {
					t.Errorf("%s: %s (%s), want %s", f.Control, f.Status, f.Reason, want)
				}
			}
		})
	}
}

func TestWhoIsAsked(t *testing.T) {
	b := mustBundle(t, "{}", header(1, "#   facts: [a, w]\n#   also: [b]\n")+"violations := set()\n", header(2, "#   facts: [c]\n")+"violations := set()\n")
	e, err := eval.New(b, muster.Linux, muster.Workstation)
	if err != nil {
		t.Fatal(err)
	}
	names := func(platform muster.Platform, profile muster.Profile, only ...string) (out []string) {
		for _, f := range eval.Facts(b, platform, profile, only) {
			out = append(out, f.Name)
		}
		return out
	}
	for want, got := range map[string][]string{
		"[a b c]": names(muster.Linux, muster.Workstation),
		"[w]":     names(muster.Windows, muster.Workstation),
		"[c]":     names(muster.Linux, muster.Workstation, "MVS-T-2"),
		"[]":      names(muster.Linux, muster.EMS),
	} {
		if fmt.Sprint(got) != want {
			t.Errorf("facts %v, want %s", got, want)
		}
	}
	in := input(ok("a", "b", "c"))
	in.Only = []string{"MVS-T-2"}
	if f, err := e.Eval(context.Background(), in); err != nil || len(f) != 1 || f[0].Control != "MVS-T-2" || !slices.Equal(f[0].Facts, []string{"c"}) {
		t.Error(f, err)
	}
	in.Host.Profile = muster.EMS
	if _, err := e.Eval(context.Background(), in); err == nil {
		t.Error("what was compiled for workstations judges another host")
	}
	ems, err := eval.New(b, muster.Linux, muster.EMS)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := ems.Eval(context.Background(), in); err != nil || f[0].Status != muster.StatusNotApplicable || f[0].Reason == "" {
		t.Error(f, err)
	}
	in.Only = []string{"MVS-T-9"}
	if _, err := ems.Eval(context.Background(), in); err == nil {
		t.Error("a control that is not there can be chosen")
	}
	if _, err := eval.New(b, muster.Linux, ""); err == nil {
		t.Error("no profile is a profile")
	}
}

func TestEvidenceIsBoundedAndOrdered(t *testing.T) {
	b := mustBundle(t, "{}", header(1, oneFact)+`violations contains {"subject": s, "found": n} if {
	some n in numbers.range(1, 1000)
	s := sprintf("%04d", [n])
}
`, header(2, oneFact)+`violations contains "text"

violations contains 7

violations contains {"other": "é"}

notes contains concat("", ["é" | some _ in numbers.range(1, 400)])
`)
	f := mustEval(t, b, ok("a"))
	if len(f[0].Violations) != eval.MaxViolations || !slices.Contains(f[0].Notes, "900 more are not shown") {
		t.Errorf("%d violations, notes %v", len(f[0].Violations), f[0].Notes)
	}
	if !slices.IsSortedFunc(f[0].Violations, func(a, b muster.Violation) int { return strings.Compare(a.Subject, b.Subject) }) {
		t.Error("violations are not ordered")
	}
	if got := fmt.Sprint(f[1].Violations); got != `[{ 7 } { text } { {"other": "é"} }]` {
		t.Error(got)
	}
	if n := f[1].Notes[0]; len(n) > eval.MaxText+len("…") || strings.ContainsRune(n, '\uFFFD') {
		t.Errorf("a note of %d bytes", len(n))
	}
}

// A control that never ends, or that eats memory, is unknown; the others answer.
func TestGreedyControls(t *testing.T) {
	b := mustBundle(t, "{}",
		header(1, oneFact)+"violations contains 1 if {\n\tn := numbers.range(1, 3000)\n\tcount([1 | some x in n; some y in n; some z in n; x + y + z == 0]) == 1\n}\n",
		header(2, oneFact)+"violations contains {\"found\": x} if {\n\tsome x in numbers.range(1, 10000000)\n}\n",
		header(3, oneFact)+"violations := set()\n")
	f := mustEval(t, b, ok("a"))
	for i, want := range []muster.Status{muster.StatusUnknown, muster.StatusUnknown, muster.StatusPass} {
		if f[i].Status != want || (want == muster.StatusUnknown && !strings.Contains(f[i].Reason, "it took")) {
			t.Errorf("%s: %s %s", f[i].Control, f[i].Status, f[i].Reason)
		}
	}
	e, err := eval.New(b, muster.Linux, muster.Workstation)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := e.Eval(ctx, input(ok("a"))); err == nil {
		t.Error("a context that is done does not end the evaluation")
	}
}

// Every control of the baseline, with each of its required facts gone for each
// reason, is unknown and never passes.
func TestNoControlPassesWithoutItsFacts(t *testing.T) {
	b, err := bundle.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]*eval.Evaluator{}
	for _, c := range b.Controls {
		for _, platform := range c.Platforms {
			for _, profile := range c.Profiles {
				kind := string(platform) + string(profile)
				if kinds[kind] == nil {
					if kinds[kind], err = eval.New(b, platform, profile); err != nil {
						t.Fatal(err)
					}
				}
				host := muster.Host{Hostname: "h", Profile: profile, Platform: platform}
				everything := map[string]muster.FactResult{}
				for _, f := range eval.Facts(b, platform, profile, nil) {
					everything[f.Name] = muster.FactResult{Name: f.Name, Status: muster.FactOK}
				}
				for _, entry := range c.Facts {
					there := slices.DeleteFunc(slices.Clone(entry), func(name string) bool { return b.Facts[name].SQL[platform] == "" })
					if len(there) == 0 {
						continue
					}
					for _, status := range []muster.FactStatus{muster.FactUnavailable, muster.FactDenied, muster.FactTimeout, muster.FactError} {
						facts := maps.Clone(everything)
						for _, name := range there {
							facts[name] = muster.FactResult{Name: name, Status: status, Reason: "gone"}
						}
						f, err := kinds[kind].Eval(context.Background(), eval.Input{Host: host, Now: now, Facts: facts, Only: []string{c.ID}})
						if err != nil {
							t.Fatal(err)
						}
						if f[0].Status != muster.StatusUnknown || !strings.Contains(f[0].Reason, status.String()) {
							t.Errorf("%s on %s %s without %v (%s): %s %s", c.ID, platform, profile, there, status, f[0].Status, f[0].Reason)
						}
					}
				}
			}
		}
	}
}

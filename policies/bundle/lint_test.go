package bundle_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies/bundle"
)

func anySQL(muster.Platform, string) error { return nil }

const goodControl = `# METADATA
# title: Title
# description: Why.
# custom:
#   id: MVS-T-1
#   severity: high
#   profiles: [ems]
#   platforms: [linux]
#   facts: [a]
#   lists: [l]
#   maps: {cis: ["1"]}
#   remedy: Remedy.
package muster.controls.t_1

violations contains r.x if {
	some r in input.facts.a
	not r.x in data.lists.l
}
`

const goodTest = `package muster.controls.t_1_test

import data.muster.controls.t_1

test_pass if count(t_1.violations) == 0 with input.facts.a as [] with data.lists.l as []

test_fail if count(t_1.violations) == 1 with input.facts.a as [{"x": 1}] with data.lists.l as []

test_unknown if count(t_1.violations) == 0 with input as {}
`

func folder(changes map[string]string) fs.FS {
	files := map[string]string{
		"controls/t_1.rego": goodControl, "controls/t_1_test.rego": goodTest,
		"facts/t/data.yaml": "a: {linux: SELECT 1}", "lists/data.yaml": `l: {dated: "2026-01-01", value: []}`, "freshness/data.yaml": "l: 45",
	}
	fsys := fstest.MapFS{}
	for name, text := range changes {
		files[name] = text
	}
	for name, text := range files {
		if text != "" {
			fsys[name] = &fstest.MapFile{Data: []byte(text)}
		}
	}
	return fsys
}

func TestLint(t *testing.T) {
	edit := func(old, new string) map[string]string {
		return map[string]string{"controls/t_1.rego": strings.Replace(goodControl, old, new, 1)}
	}
	for name, c := range map[string]struct {
		changes map[string]string
		says    string
	}{
		"good":             {nil, ""},
		"no title":         {edit("# title: Title\n", ""), "controls/t_1.rego:1: the METADATA lacks title"},
		"no metadata":      {edit(goodControl[:strings.Index(goodControl, "package")], ""), "has no METADATA"},
		"no remedy":        {edit("#   remedy: Remedy.\n", ""), "lacks remedy"},
		"odd severity":     {edit("high", "severe"), `severity "severe" is not known`},
		"odd profile":      {edit("[ems]", "[server]"), `profile "server" is not known`},
		"unknown fact":     {edit("facts: [a]", "facts: [a, zz]"), "fact zz is in no data.yaml of facts/"},
		"undeclared fact":  {edit("input.facts.a", "input.facts.b"), "controls/t_1.rego:16: reads fact b"},
		"undeclared list":  {edit("#   lists: [l]\n", ""), "controls/t_1.rego:16: reads list l"},
		"unread list":      {edit("data.lists.l", "[]"), "names list l and does not read it"},
		"unknown list":     {edit("lists: [l]", "lists: [l, m]"), "list m is neither"},
		"other package":    {edit("package muster.controls.t_1", "package muster.controls.t_2"), "want muster.controls.t_1"},
		"format":           {edit("some r in", "some  r in"), "is not formatted"},
		"does not compile": {edit("not r.x", "not nothing(r.x)\n\tnot r.x"), "undefined function nothing"},
		"the clock":        {edit("not r.x", "time.now_ns() > 0\n\tnot r.x"), "undefined function time.now_ns"},
		"unused variable":  {edit("some r in", "y := 1\n\tsome r in"), "controls/t_1.rego:16:"},
		"does not parse":   {edit("violations contains", "violations contains {"), "controls/t_1.rego:15:"},
		"no violations":    {edit("violations", "findings"), "no rule named violations"},
		"no tests":         {map[string]string{"controls/t_1_test.rego": ""}, "has no tests: write controls/t_1_test.rego"},
		"no test of unknown": {map[string]string{"controls/t_1_test.rego": strings.Replace(goodTest, "test_unknown", "test_other", 1)},
			"controls/t_1_test.rego: has no test named test_unknown"},
		"fact for nobody":  {map[string]string{"facts/t/data.yaml": "{a: {linux: SELECT 1}, b: {linux: SELECT 1}}"}, "fact b is asked by no control"},
		"no statement":     {map[string]string{"facts/t/data.yaml": "a: {windows: SELECT 1}"}, "is for linux, where none of its facts has a statement"},
		"bad sql":          {map[string]string{"facts/t/data.yaml": "a: {linux: SELECT nonsense}"}, "fact a on linux: no such column: nonsense"},
		"list without age": {map[string]string{"freshness/data.yaml": "{}"}, "list l is not here"},
		"broken data":      {map[string]string{"lists/data.yaml": "["}, "read lists/data.yaml"},
		"id twice":         {map[string]string{"controls/t_2.rego": strings.Replace(goodControl, "t_1", "t_2", 1), "controls/t_2_test.rego": goodTest}, "has the id MVS-T-1 of controls/t_1.rego"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := bundle.Lint(folder(c.changes), func(_ muster.Platform, sql string) error {
				if strings.Contains(sql, "nonsense") {
					return errors.New("no such column: nonsense")
				}
				return nil
			})
			var all []string
			for _, p := range problems {
				all = append(all, p.String())
			}
			if text := strings.Join(all, "\n"); (c.says == "") != (text == "") || !strings.Contains(text, c.says) {
				t.Errorf("problems:\n%s\nwant one that says %q", text, c.says)
			}
		})
	}
	if len(bundle.Lint(fstest.MapFS{}, anySQL)) == 0 {
		t.Error("an empty folder is fine")
	}
}

// The baseline itself is clean; its SQL is checked where the schema is (cmd/muster).
func TestBaselineIsClean(t *testing.T) {
	for _, p := range bundle.Lint(os.DirFS(".."), anySQL) {
		t.Error(p)
	}
}

func TestTest(t *testing.T) {
	ctx := context.Background()
	results, err := bundle.Test(ctx, folder(nil))
	if err != nil || len(results) != 3 {
		t.Fatal(results, err)
	}
	for _, r := range results {
		if !r.Passed || r.File != "controls/t_1_test.rego" || !strings.HasPrefix(r.Name, "muster.controls.t_1_test.test_") {
			t.Errorf("%+v", r)
		}
	}
	broken := strings.Replace(goodTest, "== 1", "== 2", 1) + "\ntest_error if to_number(input.x) == 1 with input.x as \"y\"\n\ntest_said if {\n\tprint(\"hello\")\n\tfalse\n}\n"
	results, err = bundle.Test(ctx, folder(map[string]string{"controls/t_1_test.rego": broken}))
	if err != nil {
		t.Fatal(err)
	}
	failed := map[string]bundle.TestResult{}
	for _, r := range results {
		if !r.Passed {
			failed[strings.TrimPrefix(r.Name, "muster.controls.t_1_test.")] = r
		}
	}
	if len(failed) != 3 || failed["test_error"].Err == nil || !strings.Contains(failed["test_said"].Output, "hello") {
		t.Errorf("%+v", failed)
	}
	if _, err := bundle.Test(ctx, folder(map[string]string{"x_test.rego": "package x\n\ntest_a if nothing()\n"})); err == nil {
		t.Error("tests that do not compile run")
	}
}

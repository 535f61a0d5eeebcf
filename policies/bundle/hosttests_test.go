package bundle_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/passmuster/muster/policies/bundle"
)

func TestHostTests(t *testing.T) {
	fsys := fstest.MapFS{
		"hosts/b.yml":                         {Data: []byte("{recording: b.json, now: 2026-11-03T08:00:00Z, lists: lists.json, expect: {MVS-A-1: not_applicable}}")},
		"hosts/a.yaml":                        {Data: []byte("{recording: a.json, expected: a.expected.json}")},
		"hosts/" + hostID + "/data.yaml":      {Data: []byte("lists: {}")},
		"hosts/deeper/than/this/ignored.yaml": {Data: []byte("[")},
	}
	tests, err := bundle.HostTests(fsys)
	if err != nil || len(tests) != 2 || tests[0].File != "hosts/a.yaml" || tests[1].Expect["MVS-A-1"].String() != "not_applicable" || tests[1].Now.IsZero() {
		t.Errorf("%+v, %v", tests, err)
	}
	for text, says := range map[string]string{
		"{expected: x}":                           "recording is missing",
		"{recording: x}":                          "want expect",
		"{recording: x, expect: {A: passed}}":     `status "passed" is not known`,
		"{recording: x, expected: y, lists: {}}":  "leave them out here",
		"{recording: x, expect: {A: pass}, a: 1}": `unknown field "a"`,
		"[": "",
	} {
		if _, err := bundle.ParseHostTest([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want one that says %q", text, err, says)
		}
	}
}

// A host test that is accepted says the same when it is written and read again.
func FuzzParseHostTest(f *testing.F) {
	f.Add([]byte("{recording: b.json, now: 2026-11-03T08:00:00Z, lists: lists.json, expect: {MVS-A-1: not_applicable}}"))
	f.Add([]byte(`{"recording": "a", "lists": {"dated": "2026-01-01"}, "expect": {"A": "pass"}}`))
	f.Add([]byte("recording: a\nexpected: b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		one, err := bundle.ParseHostTest(text)
		if err != nil {
			return
		}
		out, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		again, err := bundle.ParseHostTest(out)
		if err != nil || again.Recording != one.Recording || !again.Now.Equal(one.Now) || !reflect.DeepEqual(again.Expect, one.Expect) || string(again.Lists) != string(one.Lists) {
			t.Errorf("%s became %+v, %v", out, again, err)
		}
	})
}

func TestCover(t *testing.T) {
	results, covered, err := bundle.Cover(t.Context(), folder(nil))
	if err != nil || len(results) != 3 || len(covered) != 1 || covered[0].Percent != 100 || covered[0].Missed != nil {
		t.Errorf("%v %+v %v", results, covered, err)
	}
	less := "package muster.controls.t_1_test\n\nimport data.muster.controls.t_1\n\ntest_pass if count(t_1.violations) == 0 with input as {}\n"
	_, covered, err = bundle.Cover(t.Context(), folder(map[string]string{"controls/t_1_test.rego": less}))
	if err != nil || covered[0].Percent == 100 || len(covered[0].Missed) == 0 {
		t.Errorf("%+v %v", covered, err)
	}
}

func TestScaffoldRefuses(t *testing.T) {
	for id, says := range map[string]string{"MVS-T-1": "is no id", "mvs-net-01": "is no id", "MVS-NET": "is no id", "MVS-NET-../x": "is no id"} {
		if _, err := (bundle.Scaffold{ID: id, Title: "t"}).Files(folder(nil)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: error %v, want one that says %q", id, err, says)
		}
	}
	taken := map[string]string{"facts/t/data.yaml": "{a: {linux: SELECT 1}, net_01: {linux: SELECT 1}}"}
	if _, err := (bundle.Scaffold{ID: "MVS-NET-01", Title: "t"}).Files(folder(taken)); err == nil || !strings.Contains(err.Error(), "in facts/t/data.yaml") {
		t.Errorf("error %v, want one that says where the fact is", err)
	}
	broken := map[string]string{"lists/data.yaml": "["}
	if _, err := (bundle.Scaffold{ID: "MVS-NET-01", Title: "t"}).Files(folder(broken)); err == nil {
		t.Error("a control is added to sources that cannot be read")
	}
}

package changes_test

import (
	"strings"
	"testing"

	"github.com/passmuster/muster/policies/changes"
)

func files(pairs ...string) map[string][]byte {
	all := map[string][]byte{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = []byte(pairs[i+1])
	}
	return all
}

func mustBetween(t *testing.T, old, new map[string][]byte) string {
	t.Helper()
	list, err := changes.Between(old, new)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range list {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

// The command's test script shows the words for each kind of change; these are
// the cases beside it.
func TestBetween(t *testing.T) {
	for name, c := range map[string]struct {
		old, new map[string][]byte
		want     string
	}{
		"nothing":      {nil, nil, ""},
		"comments":     {files("lib/l.rego", "package l\n# a\nx := 1\n"), files("lib/l.rego", "package l\n\nx := 1\n"), ""},
		"tests":        {files("lib/l_test.rego", "package l"), nil, ""},
		"helper gone":  {files("lib/l.rego", "package l\n"), nil, "helper lib/l.rego: removed"},
		"order":        {files("lists/data.yaml", "l: [a, b]"), files("lists/data.yaml", "l: [b, a]"), "list l: entries in another order"},
		"twice":        {files("lists/data.yaml", "l: [a]"), files("lists/data.yaml", "l: [a, a]"), "list l: entry added: a"},
		"object":       {files("lists/data.yaml", "l: {dated: 2026-01-01, value: {a: 1}}"), files("lists/data.yaml", `l: {dated: "2026-01-01", value: {a: 2, b: x}}`), "list l: a: 1 → 2\nlist l: b: x"},
		"another kind": {files("lists/data.yaml", "l: [a]"), files("lists/data.json", `{"l": true}`), `list l: value: ["a"] → true`},
		"no list":      {files("lists/data.yaml", "l: {dated: 2026-01-01, value: [a]}"), nil, "list l: removed: 2026-01-01"},
		"other data":   {files("x/y/data.yaml", "1"), files("x/y/data.yaml", "2"), `data x: value: {"y":1} → {"y":2}`},
		"top data":     {files("data.yaml", "x: a"), files("data.json", `{"x": "b"}`), "data x: value: a → b"},
		"fact gone":    {files("facts/t/data.yaml", "a: {linux: SELECT 1}"), files("facts/u/data.yaml", "{}"), "fact a: removed"},
		"fact moved":   {files("facts/t/data.yaml", "a: {linux: SELECT 1}"), files("facts/u/data.yaml", "a: {linux: SELECT 1}"), ""},
		"host's list":  {nil, files("hosts/h1/data.yaml", `lists: {l: {dated: "2026-01-01", source: s, value: []}}`), "list l (host h1): added: 2026-01-01\nlist l (host h1): source: s"},
		"no id":        {files("waivers/data.yaml", "[{control: A}]"), files("waivers/data.yaml", "[]"), `waiver {"control":"A"}: removed: A`},
		"escape":       {files("waivers/data.yaml", `[{id: w, reason: "a\e[31mb\nc"}]`), nil, "waiver w: removed\n    - a[31mb\n    - c"},
		"no release":   {files(".manifest", `{"revision": "1"}`), nil, ""},
		"release":      {files(".manifest", `{"revision": "1"}`), files(".manifest", `{"revision": "2", "metadata": {"muster": {"version": 2, "min_agent": "1.2"}}}`), "release: revision: 1 → 2\nrelease: version: 2\nrelease: min agent: any → 1.2"},
	} {
		if got := mustBetween(t, c.old, c.new); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
	for name, text := range map[string]string{"lists/data.yaml": "[", "controls.json": "{}", ".manifest": "[]", "facts/t/data.yaml": "a: 1", "data.yaml": "[1]"} {
		if _, err := changes.Between(nil, files(name, text)); err == nil || !strings.Contains(err.Error(), "read the policy") {
			t.Errorf("%s: error %v", name, err)
		}
		if _, err := changes.Between(files(name, text), nil); err == nil || !strings.Contains(err.Error(), "read the older policy") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Nothing changes between a bundle and itself; what changes one way changes the
// other way too; and no change has a line that a terminal would not show.
func FuzzBetween(f *testing.F) {
	f.Add("lists/data.yaml", []byte("l: {dated: 2026-01-01, value: [a, {b: 1}]}"), []byte("l: [a, a]"))
	f.Add("facts/t/data.yaml", []byte("a: {linux: SELECT 1}"), []byte("{}"))
	f.Add("controls.json", []byte(`[{"id": "A", "package": "p", "severity": "high"}]`), []byte(`[{"id": "A", "remedy": "x"}]`))
	f.Add("waivers/data.json", []byte(`[{"id": "w", "control": "A"}]`), []byte(`[{"id": "w", "expires": "2026-01-01T00:00:00Z"}]`))
	f.Add("a.rego", []byte("package p\nx := 1\n"), []byte("package p\n# x\n"))
	f.Add(".manifest", []byte(`{"revision": "1"}`), []byte(`{"revision": "2", "metadata": {"muster": {"version": 2}}}`))
	f.Add("counties/17031/data.yaml", []byte(`lists: {l: {dated: "2026-01-01", value: []}}`), []byte("x: {}"))
	f.Fuzz(func(t *testing.T, name string, a, b []byte) {
		old, new := map[string][]byte{name: a}, map[string][]byte{name: b}
		if same, err := changes.Between(old, old); err == nil && same != nil {
			t.Errorf("against itself: %v", same)
		}
		there, err := changes.Between(old, new)
		if err != nil {
			return
		}
		back, err := changes.Between(new, old)
		if err != nil || (there == nil) != (back == nil) {
			t.Errorf("there %v, back %v, %v", there, back, err)
		}
		for _, c := range there {
			if strings.ContainsAny(c.String(), "\x1b\x00\r\a") {
				t.Errorf("%q", c.String())
			}
		}
	})
}

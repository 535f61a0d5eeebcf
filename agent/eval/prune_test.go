package eval_test

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/eval"
	"github.com/passmuster/muster/policies/bundle"
)

// What is left out before compiling must never change a verdict, whatever way a
// control was written. Each of these fails on Linux where all of it is there.
func TestNothingThatCountsIsLeftOut(t *testing.T) {
	const lib = "package muster.lib\n\nwindows if input.host.platform == \"windows\"\n\nems if input.host.profile == \"ems\"\n\nhelped if not windows\n\nhelped if windows\n"
	imported := "import data.muster.lib\n\n"
	for name, files := range map[string]map[string]string{
		"a clause of each platform": {"controls/t_1.rego": imported + "violations contains 1 if lib.windows\n\nviolations contains 2 if not lib.windows\n"},
		"the only clause":           {"controls/t_1.rego": imported + "mine if lib.windows\n\nviolations contains 1 if not mine\n"},
		"a helper of lib":           {"controls/t_1.rego": imported + "violations contains 1 if lib.helped\n"},
		"another name for lib":      {"controls/t_1.rego": "import data.muster.lib as l\n\nviolations contains 1 if l.windows\n\nviolations contains 2 if not l.windows\n"},
		"lib by its full name":      {"controls/t_1.rego": "violations contains 1 if not data.muster.lib.windows\n\nviolations contains 2 if data.muster.lib.windows\n"},
		"a helper of its own":       {"controls/t_1.rego": imported + "violations contains r if some r in rows\n\nrows contains 1 if deep(1)\n\ndeep(x) if lib.windows\n\ndeep(x) if x == 1\n"},
		"another control": {"controls/t_1.rego": "violations contains 1 if data.muster.controls.t_2.helper\n",
			"controls/t_2.rego": strings.Replace(header(2, oneFact), "[workstation]", "[ems]", 1) + "\nviolations := set()\n\nhelper if true\n"},
		"any control": {"controls/t_1.rego": "violations contains 1 if {\n\tsome x\n\tdata.muster.controls[x].helper\n}\n",
			"controls/t_2.rego": strings.Replace(header(2, oneFact), "[workstation]", "[ems]", 1) + "\nviolations := set()\n\nhelper if true\n"},
		"a package of helpers": {"controls/t_1.rego": "import data.county.words\n\nviolations contains 1 if words.deep\n",
			"words/words.rego": "package county.words\n\nimport data.muster.lib\n\ndeep if not lib.windows\n\ndeep if lib.windows\n"},
		"a lib of another mind": {"lib/lib.rego": "package muster.lib\n\nwindows if input.host.platform == \"linux\"\n\nems if false\n",
			"controls/t_1.rego": imported + "violations contains 1 if lib.windows\n"},
		"a guard under with": {"controls/t_1.rego": imported + "violations contains 1 if lib.windows with input.host.platform as \"windows\"\n\nviolations contains 2 if lib.ems\n"},
		"an else":            {"controls/t_1.rego": imported + "found := 1 if {\n\tlib.windows\n} else := 2\n\nviolations contains found\n"},
		"a default":          {"controls/t_1.rego": imported + "default good := false\n\ngood if lib.windows\n\nviolations contains 1 if not good\n"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := fstest.MapFS{"facts/t/data.yaml": {Data: []byte("a: {linux: SELECT 1}")}, "lib/lib.rego": {Data: []byte(lib)}}
			for file, text := range files {
				if file == "controls/t_1.rego" {
					text = strings.Replace(header(1, oneFact), "package muster.controls.t_1\n", "package muster.controls.t_1\n\n"+text, 1)
				}
				fsys[file] = &fstest.MapFile{Data: []byte(text)}
			}
			b, err := bundle.OpenDir(fsys)
			if err != nil {
				t.Fatal(err)
			}
			e, err := eval.New(b, muster.Linux, muster.Workstation)
			if err != nil {
				t.Fatal(err)
			}
			f, err := e.Eval(context.Background(), input(ok("a")))
			if err != nil {
				t.Fatal(err)
			}
			if f[0].Status != muster.StatusFail {
				t.Errorf("%s: %s", f[0].Status, f[0].Reason)
			}
		})
	}
}

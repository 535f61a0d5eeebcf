package bundle

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/passmuster/muster"
)

// Problem is one thing that Lint does not accept.
type Problem struct {
	File string
	Line int // from 1; 0 where the whole file is meant
	Text string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Lint checks the sources of a bundle harder than opening does: format,
// compilation in strict mode, metadata, names of facts and lists, tests, and
// every SQL statement with checkSQL. No problems means that it may be built.
func Lint(fsys fs.FS, checkSQL func(platform muster.Platform, sql string) error) []Problem {
	files, err := sources(fsys, true)
	if err != nil {
		return []Problem{{File: ".", Text: err.Error()}}
	}
	l := &linter{files: files, modules: map[string]*ast.Module{}, facts: map[string]muster.Fact{}, lists: map[string]bool{}}
	l.loadData()
	l.parse()
	l.compile()
	ids := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(l.modules)) {
		if m := l.modules[name]; strings.HasPrefix(packageOf(m), ControlPackage) && !isTest(name) {
			l.control(name, m, ids)
		}
	}
	l.sql(checkSQL)
	if l.data != nil {
		l.problems = append(l.problems, l.data.checkExceptions(func(id string) bool { return ids[id] != "" })...)
	}
	slices.SortFunc(l.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(l.problems)
}

// Format gives Rego source the one form that Lint accepts, which is that of opa fmt.
func Format(name string, source []byte) ([]byte, error) {
	return format.SourceWithOpts(name, source, format.Opts{RegoVersion: ast.RegoV1})
}

type linter struct {
	files    map[string][]byte
	modules  map[string]*ast.Module
	facts    map[string]muster.Fact
	areas    map[string]string
	lists    map[string]bool
	data     *Bundle // of the data files; nil where they cannot be read
	problems []Problem
}

func (l *linter) add(file string, line int, text string, args ...any) {
	l.problems = append(l.problems, Problem{file, line, fmt.Sprintf(text, args...)})
}

// loadData reads everything but the controls, whose faults get better words below.
func (l *linter) loadData() {
	data := maps.Clone(l.files)
	maps.DeleteFunc(data, func(name string, _ []byte) bool { return !isData(name) })
	b, err := load(data)
	if err != nil {
		l.add(".", 0, "%v", err)
		return
	}
	l.data, l.facts, l.areas = b, b.Facts, b.areas
	for name := range b.freshness {
		l.lists[name] = true
	}
	for name := range b.Lists {
		if !l.lists[name] {
			l.add("freshness/data.yaml", 0, "list %s is not here: say after how many days it is too old, or 0", name)
		}
	}
}

func (l *linter) parse() {
	for name, source := range l.files {
		if path.Ext(name) != ".rego" {
			continue
		}
		m, err := parse(name, source)
		if err != nil {
			l.compileError(name, err)
			continue
		}
		l.modules[name] = m
		if formatted, err := Format(name, source); err == nil && !bytes.Equal(formatted, source) {
			l.add(name, 0, "is not formatted: run muster policy fmt")
		}
	}
}

func (l *linter) compile() {
	compiler := ast.NewCompiler().WithCapabilities(Capabilities()).WithStrict(true).SetErrorLimit(0)
	copies := map[string]*ast.Module{} // compiling rewrites modules
	for name, m := range l.modules {
		copies[name] = m.Copy()
	}
	if compiler.Compile(copies); compiler.Failed() {
		l.compileError(".", compiler.Errors)
	}
}

func (l *linter) compileError(file string, err error) {
	var several ast.Errors
	if !errors.As(err, &several) {
		l.add(file, 0, "%v", err)
		return
	}
	for _, e := range several {
		at := Problem{File: file, Text: e.Message}
		if e.Location != nil && e.Location.File != "" {
			at.File, at.Line = e.Location.File, e.Location.Row
		}
		l.problems = append(l.problems, at)
	}
}

func (l *linter) control(name string, m *ast.Module, ids map[string]string) {
	c, err := control(m)
	if err != nil {
		l.add(name, 1, "%v", err)
	}
	if other := ids[c.ID]; other != "" && c.ID != "" {
		l.add(name, 1, "has the id %s of %s", c.ID, other)
	}
	ids[c.ID] = name
	if want := strings.TrimSuffix(path.Base(name), ".rego"); packageOf(m) != ControlPackage+want {
		l.add(name, 1, "package is %s, want %s after the file's name", packageOf(m), ControlPackage+want)
	}
	asked := append(slices.Concat(c.Facts...), c.Also...)
	for _, fact := range asked {
		if _, ok := l.facts[fact]; !ok {
			l.add(name, 1, "fact %s is in no data.yaml of facts/", fact)
		}
	}
	for _, p := range c.Platforms {
		if !slices.ContainsFunc(asked, func(f string) bool { return l.facts[f].SQL[p] != "" }) {
			l.add(name, 1, "is for %s, where none of its facts has a statement", p)
		}
	}
	for _, list := range c.Lists {
		if !l.lists[list] {
			l.add(name, 1, "list %s is neither in lists/data.yaml nor in freshness/data.yaml", list)
		}
	}
	l.reads(name, m, c, asked)
	if !slices.ContainsFunc(m.Rules, func(r *ast.Rule) bool { return r.Head.Ref()[0].String() == "violations" }) {
		l.add(name, 0, "has no rule named violations")
	}
	l.tests(name)
}

// reads compares what the Rego touches with what the metadata says it does.
func (l *linter) reads(name string, m *ast.Module, c muster.Control, asked []string) {
	used := map[string]bool{}
	ast.WalkRefs(m, func(r ast.Ref) bool {
		if len(r) < 3 {
			return false
		}
		term, ok := r[2].Value.(ast.String)
		what := string(term)
		switch doc := r[:2].String(); {
		case !ok:
		case doc == "data.lists":
			used[what] = true
			if !slices.Contains(c.Lists, what) {
				l.add(name, r[0].Location.Row, "reads list %s, which its metadata does not name", what)
			}
		case doc == "input.facts" && !slices.Contains(asked, what):
			l.add(name, r[0].Location.Row, "reads fact %s, which its metadata does not name", what)
		}
		return false
	})
	for _, list := range c.Lists {
		if !used[list] {
			l.add(name, 1, "names list %s and does not read it", list)
		}
	}
}

// tests wants one test at least for each of the three outcomes that matter.
func (l *linter) tests(name string) {
	file := strings.TrimSuffix(name, ".rego") + "_test.rego"
	m := l.modules[file]
	if m == nil {
		l.add(name, 0, "has no tests: write %s", file)
		return
	}
	for _, outcome := range []string{"test_pass", "test_fail", "test_unknown"} {
		if !slices.ContainsFunc(m.Rules, func(r *ast.Rule) bool { return strings.HasPrefix(string(r.Head.Name), outcome) }) {
			l.add(file, 0, "has no test named %s…", outcome)
		}
	}
}

func (l *linter) sql(check func(muster.Platform, string) error) {
	used := map[string]bool{}
	for _, m := range l.modules {
		c, _ := control(m) // its faults are reported elsewhere
		for _, name := range append(slices.Concat(c.Facts...), c.Also...) {
			used[name] = true
		}
	}
	for name, f := range l.facts {
		file := path.Join("facts", l.areas[name], "data.yaml")
		if !used[name] {
			l.add(file, 0, "fact %s is asked by no control", name)
		}
		for platform, statement := range f.SQL {
			if err := check(platform, statement); err != nil {
				l.add(file, 0, "fact %s on %s: %v", name, platform, err)
			}
		}
	}
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.rego") }

package muster_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	console = regexp.MustCompile("(?s)```console\n(.*?)```")
	sample  = regexp.MustCompile("(?s)```text\n(.*?)```")
)

// TestReadmeCommandsWork runs every "$ muster …" line of the README's console
// blocks with the programs of this tree, checks that each "$ make …" names a target, and that
// every line of a text block is printed by one of the commands.
func TestReadmeCommandsWork(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("the README's commands are written for Linux")
		return
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	controls, err := filepath.Glob("policies/controls/*_test.rego")
	if want := fmt.Sprintf("%d controls", len(controls)); err != nil || !strings.Contains(string(readme), want) {
		t.Errorf("README: it does not say that the baseline has %s", want)
	}
	bin := mustPrograms(t)
	ran, printed := 0, ""
	for _, block := range console.FindAllStringSubmatch(string(readme), -1) {
		for line := range strings.Lines(block[1]) {
			command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if !ok {
				continue
			}
			if target, ok := strings.CutPrefix(command, "make "); ok {
				if !strings.Contains(string(makefile), "\n"+strings.Fields(target)[0]+":") {
					t.Errorf("README: no make target for %q", command)
				}
				continue
			}
			cmd := exec.Command("sh", "-c", command)
			cmd.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "XDG_STATE_HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			printed += string(out)
			// 1 and 3 are verdicts about a host, not failures of the command.
			if code := cmd.ProcessState.ExitCode(); code != 0 && code != 1 && code != 3 {
				t.Errorf("README: %s: %v\n%s", command, err, out)
			}
			ran++
		}
	}
	if ran < 4 {
		t.Errorf("only %d commands found in the README", ran)
	}
	for _, block := range sample.FindAllStringSubmatch(string(readme), -1) {
		for line := range strings.Lines(block[1]) {
			if !strings.Contains(printed, line) {
				t.Errorf("README: no command prints %q", line)
			}
		}
	}
}

var updateReadme = flag.Bool("update", false, "rewrite the README's list of tables")

const tablesStart, tablesEnd = "<!-- tables -->\n", "<!-- /tables -->\n"

// TestReadmeTables keeps the README's list of builtin tables what the sources
// say, for both platforms whichever this is.
func TestReadmeTables(t *testing.T) {
	linux, windows := builtinTables(t, "linux"), builtinTables(t, "windows")
	var both, rows []string
	for _, name := range linux {
		if slices.Contains(windows, name) {
			both = append(both, name)
		}
	}
	only := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(name string) bool { return slices.Contains(both, name) })
	}
	for _, row := range []struct {
		title string
		names []string
	}{{"Linux and Windows", both}, {"Linux", only(linux)}, {"Windows", only(windows)}} {
		rows = append(rows, fmt.Sprintf("| %s (%d) | `%s` |\n", row.title, len(row.names), strings.Join(row.names, "`, `")))
	}
	want := "\n| on | tables |\n|---|---|\n" + strings.Join(rows, "") + "\n"

	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(readme), tablesStart)
	got, after, ok := strings.Cut(rest, tablesEnd)
	if !ok {
		t.Fatalf("README.md: no list between %q and %q", tablesStart, tablesEnd)
	}
	if got == want {
		return
	}
	if !*updateReadme {
		t.Fatalf("README.md lists other tables than the sources (go test -run ReadmeTables . -update rewrites it); want%s", want)
	}
	if err := os.WriteFile("README.md", []byte(before+tablesStart+want+tablesEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// builtinTables reads the names of a system's builtin tables from the sources:
// each function of the list in tables_<goos>.go, and the Name that it gives.
func builtinTables(t *testing.T, goos string) []string {
	t.Helper()
	dir := filepath.Join("agent", "facts", "builtin")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	system := build.Default
	system.GOOS = goos
	var listed []string
	named := map[string][]string{} // function -> names of tables in it
	calls := map[string][]string{} // function -> functions that it calls
	for _, e := range entries {
		if ok, err := system.MatchFile(dir, e.Name()); !ok || err != nil || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					calls[f.Name.Name] = append(calls[f.Name.Name], called(n))
				case *ast.CompositeLit:
					if name := tableName(n); name != "" {
						named[f.Name.Name] = append(named[f.Name.Name], name)
					} else if e.Name() == "tables_"+goos+".go" {
						for _, element := range n.Elts {
							listed = append(listed, called(element))
						}
					}
				}
				return true
			})
		}
	}
	names := map[string]bool{}
	for _, function := range slices.DeleteFunc(listed, func(f string) bool { return f == "" }) {
		gives := named[function]
		if gives == nil { // it adds to the table of another function
			for _, other := range calls[function] {
				gives = append(gives, named[other]...)
			}
		}
		if len(gives) != 1 {
			t.Fatalf("%s: %s gives the tables %q, want one", goos, function, gives)
		}
		names[gives[0]] = true
	}
	if len(names) < 20 {
		t.Fatalf("%s: only the tables %q", goos, slices.Sorted(maps.Keys(names)))
	}
	return slices.Sorted(maps.Keys(names))
}

// called names the function or method of a call; "" where it is none.
func called(e ast.Expr) string {
	if call, ok := e.(*ast.CallExpr); ok {
		switch f := call.Fun.(type) {
		case *ast.Ident:
			return f.Name
		case *ast.SelectorExpr:
			return f.Sel.Name
		}
	}
	return ""
}

// tableName is the name in a facts.Table or wmiTable literal; "" in any other.
func tableName(lit *ast.CompositeLit) string {
	field := ""
	switch typ := lit.Type.(type) {
	case *ast.SelectorExpr:
		if typ.Sel.Name == "Table" {
			field = "Name"
		}
	case *ast.Ident:
		if typ.Name == "wmiTable" {
			field = "name"
		}
	}
	for _, e := range lit.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		key, isKey := pair.Key.(*ast.Ident)
		if value, ok := pair.Value.(*ast.BasicLit); ok && isKey && key.Name == field {
			name, err := strconv.Unquote(value.Value)
			if err == nil {
				return name
			}
		}
	}
	return ""
}

// A target without a rule does nothing and succeeds, also in CI.
func TestEveryTargetHasARule(t *testing.T) {
	b, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(b), "\n.PHONY: ")
	list, _, _ = strings.Cut(list, "\n")
	targets := strings.Fields(list)
	for _, target := range targets {
		if !strings.Contains(string(b), "\n"+target+":") {
			t.Errorf("make %s has no rule", target)
		}
	}
	if len(targets) < 10 {
		t.Errorf("only %q are named", targets)
	}
}

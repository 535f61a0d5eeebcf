package muster_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/passmuster/muster"

// owners names the only folders that may import a heavy dependency; folders
// below them may too.
var owners = map[string][]string{
	"github.com/osquery/osquery-go":       {"agent/facts"},
	"github.com/shirou/gopsutil":          {"agent/facts"},
	"modernc.org/sqlite":                  {"agent/facts", "collector/store/sqlite"},
	"github.com/open-policy-agent/opa":    {"agent/eval", "policies/bundle"},
	"github.com/klauspost/compress":       {"internal/wire", "packaging/build"},
	"github.com/fxamacker/cbor":           {"internal/wire"},
	"github.com/veraison/go-cose":         {"internal/wire"},
	"tailscale.com":                       {"internal/tailnet"},
	"filippo.io/age":                      {"internal/seal"},
	"github.com/jackc/pgx":                {"collector/store/postgres"},
	"os/exec":                             {"agent/facts/osquery", "cmd/muster/internal/services", "cmd/muster/internal/signing", "internal/demo", "internal/bench", "internal/crash", "internal/program", "internal/soak", "collector/store/postgres/pgtest", "internal/earlier", "packaging/build"},
	"github.com/schollz/progressbar":      {"cmd"},
	"github.com/spf13/cobra":              {"cmd", "internal/cli"},
	"github.com/chromedp/chromedp":        {"collector/web/internal"},
	"github.com/prometheus/client_golang": {"collector"},
	"github.com/coreos/go-oidc":           {"collector/door"},
	"golang.org/x/oauth2":                 {"collector/door"},
}

// strangers names what a program must not link, directly or through any
// package of this module.
var strangers = map[string][]string{
	"cmd/muster":           {"tailscale.com", module + "/collector", module + "/agent/uplink"},
	"cmd/muster-uplink":    {"github.com/open-policy-agent/opa", "modernc.org/sqlite", module + "/agent/facts", module + "/agent/eval", module + "/policies", module + "/collector"},
	"cmd/muster-collector": {"github.com/open-policy-agent/opa", "github.com/osquery/osquery-go", "github.com/shirou/gopsutil", module + "/agent"},
}

// imports parses every Go file of the module, of every operating system, and
// gives folder -> imported paths -> one file that imports it.
func imports(t *testing.T, withTests bool) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || len(d.Name()) > 1 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		if path.Ext(file) != ".go" || !withTests && strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(file)
		if found[dir] == nil {
			found[dir] = map[string]string{}
		}
		for _, spec := range f.Imports {
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[dir][p] = file
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 3 {
		t.Fatalf("only %d folders with Go files: run the test from the module's root", len(found))
	}
	return found
}

func under(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

func TestRootImportsOnlyTheStandardLibrary(t *testing.T) {
	for p, file := range imports(t, false)["."] {
		if first, _, _ := strings.Cut(p, "/"); strings.Contains(first, ".") {
			t.Errorf("%s imports %s", file, p)
		}
	}
}

func TestHeavyDependenciesHaveOneOwner(t *testing.T) {
	for dir, list := range imports(t, false) {
		for p, file := range list {
			for dep, allowed := range owners {
				if under(p, dep) && !slices.ContainsFunc(allowed, func(a string) bool { return under(dir, a) }) {
					t.Errorf("%s imports %s, which belongs to %s", file, p, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

func TestSiblingsDoNotImportEachOther(t *testing.T) {
	for dir, list := range imports(t, false) {
		for p, file := range list {
			other, ok := strings.CutPrefix(p, module+"/")
			if !ok {
				continue
			}
			if under(dir, "agent") && under(other, "collector") || under(dir, "collector") && under(other, "agent") {
				t.Errorf("%s: agent and collector never import each other (%s)", file, p)
			}
			mine, theirs := strings.Split(dir, "/"), strings.Split(other, "/")
			if len(mine) > 1 && len(theirs) > 1 && mine[0] == theirs[0] && mine[1] != theirs[1] && mine[0] != "cmd" && mine[0] != "internal" {
				t.Errorf("%s: siblings never import each other (%s)", file, p)
			}
		}
	}
}

func TestProgramsDoNotLinkStrangers(t *testing.T) {
	all := imports(t, false)
	for program, forbidden := range strangers {
		if all[program] == nil {
			t.Errorf("%s has no Go files", program)
		}
		seen := map[string]string{program: program}
		for queue := []string{program}; len(queue) > 0; queue = queue[1:] {
			for p := range all[queue[0]] {
				way := seen[queue[0]] + " -> " + p
				for _, f := range forbidden {
					if under(p, f) {
						t.Errorf("%s", way)
					}
				}
				if other, ok := strings.CutPrefix(p, module+"/"); ok && seen[other] == "" {
					seen[other] = way
					queue = append(queue, other)
				} else if p == module && seen["."] == "" {
					seen["."] = way
					queue = append(queue, ".")
				}
			}
		}
	}
}

// TestPackagesAreDocumented holds every package to a package comment.
func TestPackagesAreDocumented(t *testing.T) {
	for dir := range imports(t, false) {
		files, err := filepath.Glob(filepath.Join(filepath.FromSlash(dir), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		documented := slices.ContainsFunc(files, func(name string) bool {
			if strings.HasSuffix(name, "_test.go") {
				return false
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
			return err == nil && f.Doc != nil
		})
		if !documented {
			t.Errorf("%s has no package comment", dir)
		}
		if path.Base(dir) == "util" || path.Base(dir) == "common" {
			t.Errorf("%s: name the package for what it does", dir)
		}
	}
}

package bundle

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/sync/errgroup"
)

// Mutant is one small damage to a control: a condition that was turned round,
// or a fact that was taken away.
type Mutant struct {
	File string
	Line int
	// Change says what was done, for example "not v.enabled".
	Change string
	// Noticed: a test of the control failed, as it should.
	Noticed bool
}

// Mutate damages every control of a folder in every such way, one at a time, and
// runs the control's own tests over the damage. A mutant that nobody notices is
// a clause of the rule that no test shows. Ordered by file and line. progress,
// where it is not nil, hears how many of all controls are done.
func Mutate(ctx context.Context, fsys fs.FS, progress func(done, all int)) ([]Mutant, error) {
	files, err := sources(fsys, true)
	if err != nil {
		return nil, fmt.Errorf("mutate policy: %w", err)
	}
	files[catalogueFile] = []byte("[]")
	b, err := load(files)
	if err != nil {
		return nil, fmt.Errorf("mutate policy: %w", err)
	}
	helpers, controls, tests := map[string]*ast.Module{}, map[string]*ast.Module{}, map[string]*ast.Module{}
	for name, source := range files {
		if path.Ext(name) != ".rego" {
			continue
		}
		m, err := parse(name, source)
		if err != nil {
			return nil, fmt.Errorf("mutate policy: %w", err)
		}
		switch {
		case isTest(name):
			tests[name] = m
		case strings.HasPrefix(packageOf(m), ControlPackage):
			controls[name] = m
		default:
			helpers[name] = m
		}
	}
	var all []Mutant
	var mu sync.Mutex
	done := 0
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for name, m := range controls {
		g.Go(func() error {
			modules := maps.Clone(helpers)
			if test := strings.TrimSuffix(name, ".rego") + "_test.rego"; tests[test] != nil {
				modules[test] = tests[test]
			}
			found := mutateOne(ctx, b.Data(), modules, name, m)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, found...)
			if done++; progress != nil {
				progress(done, len(controls))
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("mutate policy: %w", err)
	}
	slices.SortFunc(all, func(a, b Mutant) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Change, b.Change))
	})
	return all, nil
}

func mutateOne(ctx context.Context, data map[string]any, modules map[string]*ast.Module, name string, m *ast.Module) []Mutant {
	var found []Mutant
	try := func(line int, change string, damaged *ast.Module) {
		with := map[string]*ast.Module{name: damaged}
		for other, module := range modules {
			with[other] = module.Copy() // compiling rewrites modules
		}
		results, err := testModules(ctx, with, data)
		if err != nil {
			return // no program any more: nobody could ship it
		}
		found = append(found, Mutant{name, line, change, slices.ContainsFunc(results, func(r TestResult) bool { return !r.Passed })})
	}
	for i := range conditions(m) {
		damaged := m.Copy()
		e := conditions(damaged)[i]
		e.Negated = !e.Negated
		try(e.Location.Row, e.String(), damaged)
	}
	for _, fact := range factsRead(m) {
		damaged := m.Copy()
		without(damaged, fact)
		try(1, "without fact "+fact, damaged)
	}
	return found
}

// conditions are the expressions that can be turned round, in their order;
// those that give a variable its value are not.
func conditions(m *ast.Module) []*ast.Expr {
	var all []*ast.Expr
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		_, declares := e.Terms.(*ast.SomeDecl)
		if !declares && !e.IsEvery() && !e.IsAssignment() && !e.Generated {
			all = append(all, e)
		}
		return false
	})
	return all
}

func factsRead(m *ast.Module) []string {
	seen := map[string]bool{}
	ast.WalkRefs(m, func(r ast.Ref) bool {
		if fact, ok := factOf(r); ok {
			seen[fact] = true
		}
		return false
	})
	return slices.Sorted(maps.Keys(seen))
}

func factOf(r ast.Ref) (string, bool) {
	if len(r) < 3 || r[:2].String() != "input.facts" {
		return "", false
	}
	name, ok := r[2].Value.(ast.String)
	return string(name), ok
}

// without makes every mention of the fact undefined, as it is where nobody
// could answer it.
func without(m *ast.Module, fact string) {
	ast.WalkRefs(m, func(r ast.Ref) bool {
		if name, ok := factOf(r); ok && name == fact {
			r[2] = ast.StringTerm("nobody answered " + fact)
		}
		return false
	})
}

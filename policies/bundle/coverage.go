package bundle

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Coverage is how much of a Rego file its tests went through.
type Coverage struct {
	File string
	// Percent of the lines that do something.
	Percent float64
	// Missed lines, from 1, in order.
	Missed []int
}

// Cover runs the tests like Test, and says by file what they went through.
func Cover(ctx context.Context, fsys fs.FS) ([]TestResult, []Coverage, error) {
	modules, data, err := testSources(fsys)
	if err != nil {
		return nil, nil, fmt.Errorf("test policy: %w", err)
	}
	seen := tracer{}
	results, err := traceModules(ctx, modules, data, seen)
	if err != nil {
		return nil, nil, err
	}
	var all []Coverage
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		if isTest(name) {
			continue
		}
		lines := map[int]bool{} // whether everything that begins there was met
		met := func(loc *ast.Location) {
			before, known := lines[loc.Row]
			lines[loc.Row] = seen[line{name, loc.Row, loc.Col}] && (before || !known)
		}
		ast.WalkRules(modules[name], func(r *ast.Rule) bool {
			met(r.Head.Location)
			return false
		})
		ast.WalkExprs(modules[name], func(x *ast.Expr) bool {
			if _, isDecl := x.Terms.(*ast.SomeDecl); !isDecl && x.Location.HasFile() {
				met(x.Location)
			}
			return false
		})
		c := Coverage{File: name, Percent: 100}
		for _, row := range slices.Sorted(maps.Keys(lines)) {
			if !lines[row] {
				c.Missed = append(c.Missed, row)
			}
		}
		if len(lines) > 0 {
			c.Percent = 100 * float64(len(lines)-len(c.Missed)) / float64(len(lines))
		}
		all = append(all, c)
	}
	return results, all, nil
}

// line is where a rule or an expression begins.
type line struct {
	file     string
	row, col int
}

// tracer puts down what the evaluation met: rules that held and expressions that
// were asked.
type tracer map[line]bool

// Enabled makes it a topdown.QueryTracer.
func (tracer) Enabled() bool { return true }

// Config makes it a topdown.QueryTracer.
func (tracer) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent makes it a topdown.QueryTracer.
func (t tracer) TraceEvent(e topdown.Event) {
	var loc *ast.Location
	switch node := e.Node.(type) {
	case *ast.Rule:
		if e.Op == topdown.ExitOp {
			loc = node.Head.Location
		}
	case *ast.Expr:
		if e.Op == topdown.EvalOp {
			loc = node.Location
		}
	}
	if loc.HasFile() {
		t[line{loc.File, loc.Row, loc.Col}] = true
	}
}

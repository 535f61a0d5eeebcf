package bundle

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestResult is the outcome of one test rule of a policy.
type TestResult struct {
	File string
	// Name of the rule, with its package.
	Name   string
	Passed bool
	// Why it did not pass, where that is an error; what it printed.
	Err      error
	Output   string
	Duration time.Duration
}

const (
	testTimeout = 10 * time.Second
	testPrefix  = "test_"
)

// Test runs the *_test.rego files of a folder, by file and name, under the same
// capabilities as a host.
func Test(ctx context.Context, fsys fs.FS) ([]TestResult, error) {
	modules, data, err := testSources(fsys)
	if err != nil {
		return nil, fmt.Errorf("test policy: %w", err)
	}
	return testModules(ctx, modules, data)
}

// testSources reads the Rego of a folder, tests included, and the data it sees.
func testSources(fsys fs.FS) (map[string]*ast.Module, map[string]any, error) {
	files, err := sources(fsys, true)
	if err != nil {
		return nil, nil, err
	}
	files[catalogueFile] = []byte("[]") // incomplete metadata is for Lint to say
	b, err := load(files)
	if err != nil {
		return nil, nil, err
	}
	modules := map[string]*ast.Module{}
	for name, source := range files {
		if path.Ext(name) != ".rego" {
			continue
		}
		if modules[name], err = parse(name, source); err != nil {
			return nil, nil, err
		}
	}
	return modules, b.Data(), nil
}

func testModules(ctx context.Context, modules map[string]*ast.Module, data map[string]any) ([]TestResult, error) {
	return traceModules(ctx, modules, data, nil)
}

// traceModules runs the tests and shows each step to trace, unless that is nil.
func traceModules(ctx context.Context, modules map[string]*ast.Module, data map[string]any, trace topdown.QueryTracer) ([]TestResult, error) {
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	compiler := ast.NewCompiler().WithCapabilities(Capabilities()).WithStrict(true).WithEnablePrintStatements(true)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, fmt.Errorf("test policy: %w", compiler.Errors)
	}
	var all []TestResult
	for _, m := range compiler.Modules {
		seen := map[string]bool{}
		for _, rule := range m.Rules {
			name := rule.Head.Ref()[0].Value.String()
			if !strings.HasPrefix(name, testPrefix) {
				continue
			}
			t := TestResult{File: rule.Loc().File, Name: strings.TrimPrefix(m.Package.Path.String(), "data.") + "." + name}
			if seen[name] {
				t.Err = errors.New("another test has this name: one that fails would hide behind one that passes")
			} else {
				runTest(ctx, &t, rule, compiler, store, trace)
			}
			seen[name] = true
			if ctx.Err() != nil {
				return nil, fmt.Errorf("test policy: %w", ctx.Err())
			}
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b TestResult) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Name, b.Name)) })
	return all, nil
}

// runTest asks one test rule, which passes where it is true.
func runTest(ctx context.Context, t *TestResult, rule *ast.Rule, compiler *ast.Compiler, store storage.Store, trace topdown.QueryTracer) {
	if len(rule.Head.Ref()) > 1 || rule.Head.DocKind() != ast.CompleteDoc || len(rule.Head.Args) > 0 {
		t.Err = errors.New("a test is a rule without keys and arguments: write one for each case")
		return
	}
	query, err := Prepare(compiler, store, "data."+t.Name)
	if err != nil {
		t.Err = err
		return
	}
	bounded, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	var printed bytes.Buffer
	started := time.Now()
	value, err := query.Ask(bounded, nil, func(q *topdown.Query) {
		q.WithPrintHook(topdown.NewPrintHook(&printed))
		if trace != nil {
			q.WithQueryTracer(trace)
		}
	})
	t.Duration, t.Output = time.Since(started), printed.String()
	if err != nil && !errors.Is(err, ErrUndefined) {
		t.Err = err
	}
	t.Passed = err == nil && ast.Boolean(true).Equal(value.Value)
}

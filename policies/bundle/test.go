package bundle

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
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

const testTimeout = 10 * time.Second

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

// traceModules runs the tests and shows each step to lines, unless that is nil.
func traceModules(ctx context.Context, modules map[string]*ast.Module, data map[string]any, lines *cover.Cover) ([]TestResult, error) {
	store := inmem.NewFromObjectWithOpts(data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("test policy: %w", err)
	}
	defer store.Abort(ctx, txn)
	compiler := ast.NewCompiler().WithCapabilities(Capabilities()).WithStrict(true).WithEnablePrintStatements(true)
	runner := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).SetTimeout(testTimeout).
		CapturePrintOutput(true).RaiseBuiltinErrors(true)
	if lines != nil {
		runner.SetCoverageQueryTracer(lines)
	}
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		return nil, fmt.Errorf("test policy: %w", err)
	}
	var all []TestResult
	for r := range results {
		t := TestResult{
			Name: strings.TrimPrefix(r.Package, "data.") + "." + r.Name, Passed: r.Pass(),
			Err: r.Error, Output: string(r.Output), Duration: r.Duration,
		}
		if r.Location != nil {
			t.File = r.Location.File
		}
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b TestResult) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Name, b.Name)) })
	return all, nil
}

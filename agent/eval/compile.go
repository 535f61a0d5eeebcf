package eval

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/passmuster/muster/policies/bundle"
)

// New compiles the bundle into one prepared query. A module that does not
// compile makes its control unknown; only a bundle without any control that
// can be asked still gives an Evaluator that answers unknown throughout.
func New(ctx context.Context, b *bundle.Bundle) (*Evaluator, error) {
	e := &Evaluator{bundle: b, broken: map[string]string{}}
	modules, failed := parse(b.Modules)
	var compiler *ast.Compiler
	for {
		compiler = ast.NewCompiler().WithCapabilities(bundle.Capabilities()).WithStrict(true).
			SetErrorLimit(0).WithDefaultRegoVersion(ast.RegoV1)
		all := maps.Clone(modules)
		all["muster/engine.rego"] = e.engine(modules, failed)
		if compiler.Compile(all); !compiler.Failed() {
			break
		}
		if !drop(modules, compiler.Errors, failed) {
			return nil, fmt.Errorf("compile policy: %w", compiler.Errors)
		}
	}
	store := inmem.NewFromObjectWithOpts(b.Data(), inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	var err error
	e.query, err = rego.New(
		rego.ParsedQuery(ast.MustParseBody("data.muster.engine")),
		rego.Compiler(compiler),
		rego.Store(store),
		rego.StrictBuiltinErrors(true), // an error must not look like an absence
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare policy: %w", err)
	}
	return e, nil
}

// parse reads the modules; failed maps a file that does not parse to the reason.
func parse(sources map[string][]byte) (modules map[string]*ast.Module, failed map[string]string) {
	modules, failed = map[string]*ast.Module{}, map[string]string{}
	opts := ast.ParserOptions{Capabilities: bundle.Capabilities(), RegoVersion: ast.RegoV1}
	for name, source := range sources {
		m, err := ast.ParseModuleWithOpts(name, string(source), opts)
		switch {
		case err != nil:
			failed[name] = oneLine(err)
		case m == nil:
			failed[name] = name + " is empty"
		default:
			modules[name] = m
		}
	}
	return modules, failed
}

// drop takes out the modules that the errors blame, and reports whether there
// was one.
func drop(modules map[string]*ast.Module, errs ast.Errors, failed map[string]string) bool {
	before := len(modules)
	for _, err := range errs {
		if err.Location == nil {
			continue
		}
		if _, ok := modules[err.Location.File]; ok {
			failed[err.Location.File] = oneLine(err)
			delete(modules, err.Location.File)
		}
	}
	return len(modules) < before
}

// engine writes the module that asks every control named in input.ask, so that
// one query serves the whole bundle and any part of it.
func (e *Evaluator) engine(modules map[string]*ast.Module, failed map[string]string) *ast.Module {
	has := map[string]bool{} // "muster.controls.enc_01.violations"
	isFunction := map[string]bool{}
	for _, m := range modules {
		pkg := strings.TrimPrefix(m.Package.Path.String(), "data.")
		for _, r := range m.Rules {
			name := pkg + "." + r.Head.Ref()[0].String()
			has[name] = true
			isFunction[name] = isFunction[name] || len(r.Head.Args) > 0
		}
	}
	// violations is the verdict. The others are optional; unknown gives reasons
	// why finding nothing is no pass.
	rules := []string{"violations", "unknown", "inapplicable", "notes"}
	var text strings.Builder
	text.WriteString("package muster.engine\n")
	clear(e.broken)
	for _, c := range e.bundle.Controls {
		function := slices.IndexFunc(rules, func(rule string) bool { return isFunction[c.Package+"."+rule] })
		reason := blame(c.Package, e.bundle.Modules, failed)
		switch {
		case reason != "":
		case !has[c.Package+".violations"]:
			reason = "its policy has no rule named violations"
		case function >= 0:
			reason = fmt.Sprintf("its policy has a function named %s: want a rule without arguments", rules[function])
		}
		if reason != "" {
			e.broken[c.ID] = reason
			continue
		}
		for _, rule := range rules {
			if has[c.Package+"."+rule] {
				fmt.Fprintf(&text, "%s[%q] := data.%s.%s if input.ask[%q]\n", rule, c.ID, c.Package, rule, c.ID)
			}
		}
	}
	return ast.MustParseModuleWithOpts(text.String(), ast.ParserOptions{RegoVersion: ast.RegoV1})
}

// blame says why a package cannot be asked: one of its files does not compile,
// and the others alone may find nothing. It is "" where all do.
func blame(pkg string, sources map[string][]byte, failed map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		for line := range strings.Lines(string(sources[name])) {
			if words := strings.Fields(line); len(words) > 1 && words[0] == "package" && words[1] == pkg {
				return "its policy does not compile: " + failed[name]
			}
		}
	}
	return ""
}

// oneLine is the first of several errors, in one line.
func oneLine(err error) string {
	var several ast.Errors
	if errors.As(err, &several) && len(several) > 0 {
		err = several[0]
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

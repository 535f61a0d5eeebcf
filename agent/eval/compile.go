package eval

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies/bundle"
)

// maxShards bounds how many parts are compiled at once: each has its own copy
// of the helpers.
const maxShards = 4

// shard is a part of the controls, compiled into one prepared query.
type shard struct {
	query *bundle.Query
	// broken maps the id of a control that cannot be asked to the reason.
	broken map[string]string
}

// New compiles what the bundle asks of hosts of this platform and profile. A
// module that does not compile makes its control unknown; a bundle without any
// control that can be asked still gives an Evaluator that answers unknown
// throughout.
func New(b *bundle.Bundle, platform muster.Platform, profile muster.Profile) (*Evaluator, error) {
	if _, err := muster.ParseProfile(string(profile)); err != nil {
		return nil, fmt.Errorf("compile policy: %w", err)
	}
	e := &Evaluator{bundle: b, platform: platform, profile: profile, shards: map[string]*shard{}}
	store := inmem.NewFromObjectWithOpts(b.Data(), inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
	parts := e.parts()
	shards, errs := make([]*shard, len(parts)), make([]error, len(parts))
	var all sync.WaitGroup
	for i, part := range parts {
		all.Go(func() { shards[i], errs[i] = e.compile(part, store) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i, part := range parts {
		for _, c := range part.controls {
			e.shards[c.ID] = shards[i]
		}
	}
	return e, nil
}

// part is what one shard compiles.
type part struct {
	controls []muster.Control
	modules  map[string][]byte
}

// parts divides the controls for this kind of host, and leaves out the modules
// of all others, which take more time to compile than all facts take to gather.
// Where a module may speak of another control they stay together.
func (e *Evaluator) parts() []part {
	var ours []muster.Control
	for _, c := range e.bundle.Controls {
		if elsewhere(c, e.platform, e.profile) == "" {
			ours = append(ours, c)
		}
	}
	helpers, byPackage := map[string][]byte{}, map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(e.bundle.Modules)) {
		source := e.bundle.Modules[name]
		if bytes.Count(source, []byte("data.muster")) > bytes.Count(source, []byte(libPackage)) || bytes.Contains(source, []byte("data[")) {
			return []part{{ours, e.bundle.Modules}}
		}
		if pkg := packageOf(source); strings.HasPrefix(pkg, bundle.ControlPackage) {
			byPackage[pkg] = append(byPackage[pkg], name)
		} else {
			helpers[name] = source
		}
	}
	parts := make([]part, min(maxShards, runtime.GOMAXPROCS(0)))
	sizes := make([]int, len(parts))
	for i := range parts {
		parts[i].modules = maps.Clone(helpers)
	}
	for _, c := range ours {
		least := slices.Index(sizes, slices.Min(sizes))
		parts[least].controls = append(parts[least].controls, c)
		for _, name := range byPackage[c.Package] {
			parts[least].modules[name] = e.bundle.Modules[name]
			sizes[least] += len(e.bundle.Modules[name])
		}
	}
	return parts
}

func (e *Evaluator) compile(p part, store storage.Store) (*shard, error) {
	modules, failed := parse(p.modules)
	prune(modules, e.platform, e.profile)
	s := &shard{}
	var compiler *ast.Compiler
	for {
		compiler = ast.NewCompiler().WithCapabilities(bundle.Capabilities()).
			SetErrorLimit(0).WithDefaultRegoVersion(ast.RegoV1)
		all := maps.Clone(modules)
		all["muster/engine.rego"] = s.engine(p, modules, failed)
		if compiler.Compile(all); !compiler.Failed() {
			break
		}
		if !drop(modules, compiler.Errors, failed) {
			return nil, fmt.Errorf("compile policy: %w", compiler.Errors)
		}
	}
	var err error
	if s.query, err = bundle.Prepare(compiler, store, "data.muster.engine"); err != nil {
		return nil, fmt.Errorf("prepare policy: %w", err)
	}
	return s, nil
}

// packageOf finds the package without parsing the file, which may be broken.
func packageOf(source []byte) string {
	for line := range bytes.Lines(source) {
		if words := bytes.Fields(line); len(words) > 1 && string(words[0]) == "package" {
			return string(words[1])
		}
	}
	return ""
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
// one query serves the whole shard and any part of it.
func (s *shard) engine(p part, modules map[string]*ast.Module, failed map[string]string) *ast.Module {
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
	s.broken = map[string]string{}
	for _, c := range p.controls {
		function := slices.IndexFunc(rules, func(rule string) bool { return isFunction[c.Package+"."+rule] })
		reason := blame(c.Package, p.modules, failed)
		switch {
		case reason != "":
		case !has[c.Package+".violations"]:
			reason = "its policy has no rule named violations"
		case function >= 0:
			reason = fmt.Sprintf("its policy has a function named %s: want a rule without arguments", rules[function])
		}
		if reason != "" {
			s.broken[c.ID] = reason
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
		if packageOf(sources[name]) == pkg {
			return "its policy does not compile: " + failed[name]
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

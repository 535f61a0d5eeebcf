package eval

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies/bundle"
)

// libPackage has the helpers of controls; its rules windows and ems tell what
// kind of host is judged.
const libPackage = "data.muster.lib"

// Most of a control is for one platform, and compiling takes longer than
// everything else. So clauses that ask for another kind of host go before the
// compiler sees them, and then what nothing mentions any more. What a clause
// says beyond that stays as it is.
type pruner struct {
	modules map[string]*ast.Module
	// known are the rules of lib whose value is known here, by name.
	known map[string]bool
}

func prune(modules map[string]*ast.Module, platform muster.Platform, profile muster.Profile) {
	p := &pruner{modules: modules, known: map[string]bool{}}
	for _, m := range modules {
		if m.Package.Path.String() == libPackage {
			p.learn(m, "windows", `input.host.platform == "windows"`, platform == muster.Windows)
			p.learn(m, "ems", `input.host.profile == "ems"`, profile == muster.EMS)
		}
	}
	used, alone := map[string]bool{}, p.alone()
	for _, m := range modules {
		if m.Package.Path.String() == libPackage {
			continue
		}
		if alone[m.Package.Path.String()] {
			p.clauses(m)
			reachable(m, map[string]bool{"violations": true, "unknown": true, "inapplicable": true, "notes": true})
		}
		p.mentioned(m, used)
	}
	for _, m := range modules {
		if m.Package.Path.String() == libPackage && len(p.known) > 0 {
			p.clauses(m)
			reachable(m, used)
		}
	}
}

// alone are the packages of controls that have one file, and that no other
// file mentions: whatever they hold is there for the engine's questions only.
func (p *pruner) alone() map[string]bool {
	files := map[string]int{}
	for _, m := range p.modules {
		files[m.Package.Path.String()]++
	}
	alone := map[string]bool{}
	for pkg, n := range files {
		alone[pkg] = n == 1 && strings.HasPrefix(pkg, "data."+bundle.ControlPackage)
	}
	mention := func(ref ast.Ref) bool {
		if !ref[0].Equal(ast.DefaultRootDocument) {
			return false
		}
		named := ref.GroundPrefix()
		if len(named) > 3 {
			named = named[:4]
		}
		for pkg := range alone {
			if name := named.String(); strings.HasPrefix(pkg+".", name+".") {
				alone[pkg] = false // of data.muster it may mean any below
			}
		}
		return false
	}
	for _, m := range p.modules {
		for _, i := range m.Imports {
			ast.WalkRefs(i, mention)
		}
		for _, r := range m.Rules {
			ast.WalkRefs(r, mention)
		}
	}
	return alone
}

// learn believes a rule of lib only where it says exactly what is expected.
func (p *pruner) learn(m *ast.Module, name, body string, value bool) {
	var found []*ast.Rule
	for _, r := range m.Rules {
		if nameOf(r) == name {
			found = append(found, r)
		}
	}
	if len(found) == 1 && found[0].Else == nil && found[0].Body.Equal(ast.MustParseBody(body)) {
		p.known[name] = value
	}
}

func nameOf(r *ast.Rule) string { return r.Head.Ref()[0].Value.String() }

// clauses takes out the clauses that can never hold. The last of a rule stays,
// emptied: without any, the rule would be unknown to those that mention it.
func (p *pruner) clauses(m *ast.Module) {
	left := map[string]int{}
	for _, r := range m.Rules {
		left[nameOf(r)]++
	}
	kept := m.Rules[:0]
	for _, r := range m.Rules {
		if r.Else == nil && !r.Default && p.never(m, r.Body) {
			if name := nameOf(r); left[name] > 1 {
				left[name]--
				continue
			}
			empty(r)
		}
		kept = append(kept, r)
	}
	m.Rules = kept
}

// empty makes a rule that never holds small, so that what it mentions may go.
func empty(r *ast.Rule) {
	if len(r.Head.Ref()) > 1 {
		return // its head has variables of the body
	}
	if r.Head.Key != nil {
		r.Head.Key = ast.InternedTerm("")
	}
	if r.Head.Value != nil {
		r.Head.Value = ast.InternedTerm(true)
	}
	r.Body = ast.NewBody(ast.NewExpr(ast.InternedTerm(false)))
}

func (p *pruner) never(m *ast.Module, body ast.Body) bool {
	for _, e := range body {
		t, ok := e.Terms.(*ast.Term)
		if !ok || len(e.With) > 0 {
			continue
		}
		ref, ok := t.Value.(ast.Ref)
		if !ok {
			continue
		}
		name, ok := p.libRule(m, ref)
		if value, known := p.known[name]; ok && len(ref) == p.depth(m) && known && value == e.Negated {
			return true
		}
	}
	return false
}

// libRule reads which rule of lib a reference means: lib.windows by an import,
// or windows in lib itself.
func (p *pruner) libRule(m *ast.Module, ref ast.Ref) (string, bool) {
	if m.Package.Path.String() == libPackage {
		v, ok := ref[0].Value.(ast.Var)
		return string(v), ok
	}
	if len(ref) < 2 {
		return "", false
	}
	for _, i := range m.Imports {
		if path, ok := i.Path.Value.(ast.Ref); ok && path.String() == libPackage && i.Name() == ref[0].Value {
			name, ok := ref[1].Value.(ast.String)
			return string(name), ok
		}
	}
	return "", false
}

// depth is how many terms a plain reference to a rule of lib has.
func (p *pruner) depth(m *ast.Module) int {
	if m.Package.Path.String() == libPackage {
		return 1
	}
	return 2
}

// mentioned adds the rules of lib that the module refers to.
func (p *pruner) mentioned(m *ast.Module, used map[string]bool) {
	for _, r := range m.Rules {
		ast.WalkRefs(r, func(ref ast.Ref) bool {
			if name, ok := p.libRule(m, ref); ok {
				used[name] = true
			}
			return false
		})
	}
}

// reachable takes out the rules that none of the roots needs.
func reachable(m *ast.Module, roots map[string]bool) {
	byName := map[string][]*ast.Rule{}
	var todo []string
	for _, r := range m.Rules {
		name := nameOf(r)
		if byName[name] == nil && roots[name] {
			todo = append(todo, name)
		}
		byName[name] = append(byName[name], r)
	}
	need := map[string]bool{}
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if need[name] {
			continue
		}
		need[name] = true
		for _, r := range byName[name] {
			ast.WalkVars(r, func(v ast.Var) bool {
				if next := string(v); byName[next] != nil && !need[next] {
					todo = append(todo, next)
				}
				return false
			})
		}
	}
	kept := m.Rules[:0]
	for _, r := range m.Rules {
		if need[nameOf(r)] {
			kept = append(kept, r)
		}
	}
	m.Rules = kept
}

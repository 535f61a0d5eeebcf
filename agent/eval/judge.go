package eval

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/passmuster/muster"
)

// Bounds on the evidence of one control, so that a report stays small.
const (
	// MaxViolations is the most pieces of evidence that a finding shows.
	MaxViolations = 100
	// MaxText is the most bytes of one text of evidence.
	MaxText = 500
	// maxTerms is how many parts a value may have to be shown. Parts can be shared, so
	// that a small value has an endless text.
	maxTerms = 10_000
)

// judge turns an answer into the finding's status. unhelped says why finding
// nothing would be no pass, or is "".
func (a answer) judge(f *muster.Finding, unhelped string) {
	if a.err != nil {
		f.Reason = "its policy failed: " + oneLine(a.err)
		return
	}
	if a.notes != nil {
		notes, ok := texts(a.notes)
		if !ok {
			f.Reason = "its policy gave notes that are no set of texts"
			return
		}
		f.Notes = append(f.Notes, notes...)
	}
	if a.inapplicable != nil {
		reasons, ok := texts(a.inapplicable)
		if !ok {
			f.Reason = "its policy gave reasons for being inapplicable that are no set of texts"
			return
		}
		if len(reasons) > 0 {
			f.Status, f.Reason = muster.StatusNotApplicable, strings.Join(reasons, "; ")
			return
		}
	}
	if a.violations == nil {
		f.Reason = "its policy gave no answer: violations is undefined"
		return
	}
	set, ok := a.violations.Value.(ast.Set)
	if !ok {
		f.Reason = "its policy gave violations that are no set"
		return
	}
	if set.Len() > 0 {
		f.Status = muster.StatusFail
		f.Violations = violations(set)
		if extra := set.Len() - MaxViolations; extra > 0 {
			f.Violations = f.Violations[:min(len(f.Violations), MaxViolations)]
			f.Notes = append(f.Notes, fmt.Sprintf("%d more are not shown", extra))
		}
		return
	}
	if a.unknown != nil {
		reasons, ok := texts(a.unknown)
		if !ok {
			f.Reason = "its policy gave reasons for not knowing that are no set of texts"
			return
		}
		f.Reason = strings.Join(reasons, "; ")
	}
	if f.Reason == "" {
		f.Reason = unhelped
	}
	if f.Reason == "" {
		f.Status = muster.StatusPass
	}
}

// texts reads a set of texts, or one text; empty ones do not count.
func texts(t *ast.Term) ([]string, bool) {
	if s, ok := t.Value.(ast.String); ok {
		if s == "" {
			return nil, true
		}
		return []string{clip(string(s))}, true
	}
	set, ok := t.Value.(ast.Set)
	if !ok {
		return nil, false
	}
	var out []string
	for _, t := range set.Slice() {
		s, ok := t.Value.(ast.String)
		if !ok {
			return nil, false
		}
		if s != "" && len(out) < MaxViolations {
			out = append(out, clip(string(s)))
		}
	}
	slices.Sort(out)
	return out, true
}

func violations(set ast.Set) []muster.Violation {
	out := make([]muster.Violation, 0, set.Len())
	set.Foreach(func(t *ast.Term) {
		o, ok := t.Value.(ast.Object)
		if !ok {
			out = append(out, muster.Violation{Found: text(t)})
			return
		}
		field := func(name string) string { return text(o.Get(ast.StringTerm(name))) }
		v := muster.Violation{Subject: field("subject"), Found: field("found"), Want: field("want")}
		if v == (muster.Violation{}) {
			v.Found = text(t)
		}
		out = append(out, v)
	})
	slices.SortFunc(out, func(a, b muster.Violation) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Found, b.Found), cmp.Compare(a.Want, b.Want))
	})
	return out
}

// text writes any Rego value for people.
func text(t *ast.Term) string {
	if t == nil {
		return ""
	}
	switch v := t.Value.(type) {
	case ast.Null:
		return ""
	case ast.String:
		return clip(string(v))
	}
	left := maxTerms
	ast.WalkTerms(t, func(*ast.Term) bool { left--; return left < 0 })
	if left < 0 {
		return fmt.Sprintf("(a value of more than %d parts)", maxTerms)
	}
	return clip(t.Value.String())
}

func clip(s string) string {
	if len(s) <= MaxText {
		return strings.ToValidUTF8(s, "�")
	}
	end := MaxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.ToValidUTF8(s[:end], "�") + "…"
}

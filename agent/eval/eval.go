// Package eval holds facts against a policy bundle: facts in, findings out.
//
// It is built so that no author of a control can turn ignorance into a pass. A
// control is asked only when its facts and lists are there; whatever goes wrong
// in its Rego makes that control unknown and leaves the others alone.
package eval

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies/bundle"
)

// Evaluator holds one bundle, compiled for one kind of host. It is safe for
// concurrent use.
type Evaluator struct {
	bundle   *bundle.Bundle
	platform muster.Platform
	profile  muster.Profile
	shards   map[string]*shard // by the id of each control for these hosts
}

// Input of one evaluation.
type Input struct {
	Host muster.Host
	// Now is the only clock that controls can see.
	Now   time.Time
	Facts map[string]muster.FactResult
	// Only these control ids; none means all.
	Only []string
}

// Facts lists what to gather for hosts of this platform and profile, ordered by
// name: the facts that applicable controls of the bundle ask for and that have a
// statement for the platform. only limits it to these controls; none means all.
func Facts(b *bundle.Bundle, platform muster.Platform, profile muster.Profile, only []string) []muster.Fact {
	need := map[string]bool{}
	for _, c := range b.Controls {
		if (len(only) == 0 || slices.Contains(only, c.ID)) && elsewhere(c, platform, profile) == "" {
			for _, name := range asked(b, c, platform) {
				need[name] = true
			}
		}
	}
	facts := make([]muster.Fact, 0, len(need))
	for _, name := range slices.Sorted(maps.Keys(need)) {
		facts = append(facts, b.Facts[name])
	}
	return facts
}

// Eval judges every control of the bundle, in the catalogue's order. Its error
// is about the call: another kind of host, an unknown control id, or a context
// that is done.
func (e *Evaluator) Eval(ctx context.Context, in Input) ([]muster.Finding, error) {
	if in.Host.Platform != e.platform || in.Host.Profile != e.profile {
		return nil, fmt.Errorf("evaluate policy: it was compiled for %s %s, not for %s %s", e.platform, e.profile, in.Host.Platform, in.Host.Profile)
	}
	for _, id := range in.Only {
		if !slices.ContainsFunc(e.bundle.Controls, func(c muster.Control) bool { return c.ID == id }) {
			return nil, fmt.Errorf("evaluate policy: control %s is not in the bundle: muster explain lists those that are", id)
		}
	}
	var controls, ready []muster.Control
	findings := []muster.Finding{}
	for _, c := range e.bundle.Controls {
		if len(in.Only) > 0 && !slices.Contains(in.Only, c.ID) {
			continue
		}
		f := muster.Finding{
			Control: c.ID, Title: c.Title, Severity: c.Severity, Remedy: c.RemedyOn(in.Host.Platform),
			Facts: asked(e.bundle, c, e.platform), Violations: []muster.Violation{}, Notes: []string{},
		}
		if reason := elsewhere(c, in.Host.Platform, in.Host.Profile); reason != "" {
			f.Status, f.Reason = muster.StatusNotApplicable, reason
		} else if f.Reason = e.unready(c, in); f.Reason == "" {
			ready = append(ready, c)
		}
		controls, findings = append(controls, c), append(findings, f)
	}
	answers := e.ask(ctx, in, ready)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("evaluate policy: %w", err)
	}
	for i, c := range controls {
		f := &findings[i]
		if a, ok := answers[c.ID]; ok {
			a.judge(f, e.unhelped(c, in))
		}
		e.waive(f, in)
	}
	return findings, nil
}

// elsewhere says why the control is not for this kind of host; "" when it is.
func elsewhere(c muster.Control, platform muster.Platform, profile muster.Profile) string {
	if !slices.Contains(c.Profiles, profile) {
		return "for " + join(c.Profiles, " and ") + " hosts only"
	}
	if !slices.Contains(c.Platforms, platform) {
		return "for " + join(c.Platforms, " and ") + " only"
	}
	return ""
}

// asked lists the names of a control's facts that have a statement for the
// platform, each once.
func asked(b *bundle.Bundle, c muster.Control, platform muster.Platform) []string {
	names := []string{}
	for _, name := range append(slices.Concat(c.Facts...), c.Also...) {
		if b.Facts[name].SQL[platform] != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// unready says why the control cannot be asked; "" when it can.
func (e *Evaluator) unready(c muster.Control, in Input) string {
	if reason := e.shards[c.ID].broken[c.ID]; reason != "" {
		return reason
	}
	required := 0
	for _, anyOf := range c.Facts {
		var down []string
		met := false
		for _, name := range anyOf {
			if e.bundle.Facts[name].SQL[in.Host.Platform] == "" {
				continue
			}
			if reason := missing(name, in); reason != "" {
				down = append(down, reason)
				continue
			}
			met = true
		}
		if !met && down != nil {
			return strings.Join(down, "; ")
		}
		if met {
			required++
		}
	}
	if required == 0 {
		return fmt.Sprintf("no fact of this control can be asked on %s", in.Host.Platform)
	}
	for _, name := range c.Lists {
		l, ok := e.bundle.Lists[name]
		switch {
		case !ok:
			return fmt.Sprintf("list %s is missing: the state or the county has to give it", name)
		case l.Stale(in.Now) && l.Dated.IsZero():
			return fmt.Sprintf("list %s carries no date, so nobody knows whether it is still right", name)
		case l.Stale(in.Now):
			return fmt.Sprintf("list %s of %s is more than %d days old: bring a newer one",
				name, l.Dated.Format(time.DateOnly), int(l.MaxAge.Hours()/24))
		}
	}
	return ""
}

// unhelped says which of the facts that help is not ok; "" when all are.
func (e *Evaluator) unhelped(c muster.Control, in Input) string {
	for _, name := range c.Also {
		if e.bundle.Facts[name].SQL[in.Host.Platform] == "" {
			continue
		}
		if reason := missing(name, in); reason != "" {
			return "nothing found, but " + reason
		}
	}
	return ""
}

// missing says why the fact has no rows to look at; "" when it is ok.
func missing(name string, in Input) string {
	r, ok := in.Facts[name]
	if ok && r.Status == muster.FactOK {
		return ""
	}
	if !ok {
		r.Reason = "it was not asked"
	}
	if r.Reason == "" {
		return fmt.Sprintf("fact %s: %s", name, r.Status)
	}
	return fmt.Sprintf("fact %s: %s: %s", name, r.Status, r.Reason)
}

func (e *Evaluator) waive(f *muster.Finding, in Input) {
	if f.Status != muster.StatusFail && f.Status != muster.StatusUnknown {
		return
	}
	for _, w := range e.bundle.Waivers {
		if w.Covers(f.Control, in.Host, in.Now) {
			f.Waiver = &w
			return
		}
	}
}

func join[T ~string](words []T, sep string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, sep)
}

// Package output writes one audit in the forms that people and programs read:
// text, JSON, CSV, HTML, JUnit XML and SARIF 2.1.0. The JSON form is
// muster.Audit, stable; the others follow their formats' own specifications.
//
// In every form an unknown control is shown as such and never as passed.
package output

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/passmuster/muster"
)

// View is an audit and what helps people to read it. Only Audit is required.
type View struct {
	Audit *muster.Audit
	// Controls and Facts of the policy, by id and name: why a control matters
	// and how it is checked.
	Controls map[string]muster.Control
	Facts    map[string]muster.Fact
	// Results of the facts by name: what would make an unknown control known.
	Results map[string]muster.FactResult
	// Denied says what to do where a fact needs rights; "" means to run again as
	// administrator.
	Denied string
	// Policy says in a few words where the policy came from.
	Policy string
	// Notice is shown before everything else, such as that the policy is unsigned.
	Notice string
	// Outcome is the last line: what happens with the report.
	Outcome string
	// Warnings are shown before Outcome.
	Warnings []string
	// Partial: only some controls were asked (--only), which says nothing about
	// the baseline as a whole.
	Partial bool
	// Explain adds why each control matters and how it is checked (text, HTML).
	Explain bool
	// Verbose lists what passed and what does not apply, and all evidence (text).
	Verbose bool
	// Width of the terminal in columns; 0 means 80 (text).
	Width int
	// Color allows ANSI colours (text).
	Color bool
}

type writer func(io.Writer, View) error

// formats in the order in which the help names them.
func formats() ([]string, map[string]writer) {
	return []string{"text", "json", "csv", "html", "junit", "sarif"}, map[string]writer{
		"text": writeText, "json": writeJSON, "csv": writeCSV,
		"html": writeHTML, "junit": writeJUnit, "sarif": writeSARIF,
	}
}

// Formats names the forms that Write knows.
func Formats() []string {
	names, _ := formats()
	return names
}

// Check refuses a form that Write does not know.
func Check(format string) error {
	if names := Formats(); !slices.Contains(names, format) {
		return fmt.Errorf("output %q is not known: use one of %s", format, strings.Join(names, ", "))
	}
	return nil
}

// Write writes the audit in the form. It does not change the audit.
func Write(w io.Writer, format string, v View) error {
	if err := Check(format); err != nil {
		return err
	}
	_, writers := formats()
	if err := writers[format](w, v); err != nil {
		return fmt.Errorf("write %s: %w", format, err)
	}
	return nil
}

// groups are the findings in the order in which a person should read them.
type groups struct {
	Fail, Unknown, Waived, Notes, Pass, NotApplicable []muster.Finding
}

func group(findings []muster.Finding) groups {
	var g groups
	for _, f := range findings {
		switch {
		case f.Waiver != nil && (f.Status == muster.StatusFail || f.Status == muster.StatusUnknown):
			g.Waived = append(g.Waived, f)
		case f.Status == muster.StatusFail:
			g.Fail = append(g.Fail, f)
		case f.Status == muster.StatusPass:
			g.Pass = append(g.Pass, f)
		case f.Status == muster.StatusNotApplicable:
			g.NotApplicable = append(g.NotApplicable, f)
		default:
			g.Unknown = append(g.Unknown, f)
		}
		if len(f.Notes) > 0 && (f.Status == muster.StatusPass || f.Status == muster.StatusNotApplicable) {
			g.Notes = append(g.Notes, f)
		}
	}
	for _, list := range [][]muster.Finding{g.Fail, g.Unknown, g.Waived} {
		slices.SortStableFunc(list, func(a, b muster.Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	}
	return g
}

// headline says in one sentence where the host stands.
func (v View) headline() string {
	a, s := v.Audit, v.Audit.Summary
	name := cmp.Or(Clean(a.Host), "This computer")
	switch {
	case len(a.Findings) == 0:
		return "Nothing was checked on " + name + "."
	case v.Partial:
		return fmt.Sprintf("%s, %s asked: %d pass, %d fail, %d unknown. This says nothing about the rest of the baseline.",
			name, count(len(a.Findings), "control"), s.Pass, s.Fail, s.Unknown)
	case !s.MeetsBaseline && s.Fail > 0 && gating(a.Findings, muster.StatusFail) > 0:
		return fmt.Sprintf("%s does not meet the baseline: %s, %d of them critical or high.",
			name, verb(s.Fail, "control", "fails", "fail"), gating(a.Findings, muster.StatusFail))
	case !s.MeetsBaseline:
		return fmt.Sprintf("It is not known whether %s meets the baseline: %s could not be checked.",
			name, count(gating(a.Findings, muster.StatusUnknown), "critical or high control"))
	case s.Fail > 0:
		return fmt.Sprintf("%s meets the baseline, but %s.", name, verb(s.Fail, "less urgent control", "fails", "fail"))
	case s.Unknown > 0:
		return fmt.Sprintf("%s meets the baseline, but %s could not be checked.", name, count(s.Unknown, "less urgent control"))
	}
	return name + " meets the baseline."
}

func gating(findings []muster.Finding, status muster.Status) (n int) {
	for _, f := range findings {
		if f.Status == status && f.Waiver == nil && f.Severity.Gates() {
			n++
		}
	}
	return n
}

// context is the second sentence: what was audited, when, and by which policy.
func (v View) context() string {
	a := v.Audit
	s := fmt.Sprintf("Profile %s, %s, %s. Policy %s", a.Profile, a.Platform,
		a.AuditedAt.UTC().Format("2 January 2006 15:04 UTC"), cmp.Or(Clean(a.Policy.Revision), "without a revision"))
	if v.Policy != "" {
		s += " (" + v.Policy + ")"
	}
	if a.Policy.Stale {
		s += ", past its date"
	}
	return s + "."
}

// totals counts what the lists above it do not show.
func (v View) totals() string {
	s := v.Audit.Summary
	t := fmt.Sprintf("%d pass, %d fail, %d unknown, %d not applicable, %d waived.", s.Pass, s.Fail, s.Unknown, s.NotApplicable, s.Waived)
	if p, ok := s.Score(); ok && !v.Partial {
		t += fmt.Sprintf(" Score %.0f%% of those that passed or failed.", p)
	}
	return t
}

// missing is the fact for which the finding is unknown and a person can do most;
// zero where every fact answered.
func (v View) missing(f muster.Finding) (worst muster.FactResult) {
	for _, name := range f.Facts {
		r, asked := v.Results[name]
		if asked && r.Status != muster.FactOK && (worst.Name == "" || rank(r.Status) > rank(worst.Status)) {
			worst = r
		}
	}
	return worst
}

// why says why an unknown finding is unknown. Which file or call was refused is
// for those who ask.
func (v View) why(f muster.Finding) string {
	if v.missing(f).Status == muster.FactDenied && strings.HasPrefix(f.Reason, "fact ") && !v.Verbose {
		return "only an administrator can see this"
	}
	return f.Reason
}

// toKnow says what would make an unknown finding known.
func (v View) toKnow(f muster.Finding) string {
	worst := v.missing(f)
	switch {
	case worst.Name == "" && strings.HasPrefix(f.Reason, "list "):
		return "Ask the state, or your IT support, for the list. `muster audit --lists FILE` reads one."
	case worst.Name == "":
		return "Check it by hand, or ask your IT support to."
	case worst.Status == muster.FactDenied:
		return cmp.Or(v.Denied, "Run muster audit again as administrator.")
	case worst.Status == muster.FactTimeout:
		return "Run muster audit again when the computer is less busy."
	case worst.Status == muster.FactError:
		return "Show this to your IT support: `muster facts query` asks the computer the same question."
	}
	return "This computer does not tell it to muster. Check it by hand, or run osquery beside muster."
}

// rank orders failed facts by how easily a person can help.
func rank(s muster.FactStatus) int {
	return slices.Index([]muster.FactStatus{muster.FactOK, muster.FactUnavailable, muster.FactError, muster.FactTimeout, muster.FactDenied}, s)
}

// found puts a violation into one line.
func found(v muster.Violation) string {
	s := Clean(v.Found)
	switch {
	case s == "":
		s = Clean(v.Subject)
	case v.Subject != "":
		s = strings.TrimSuffix(Clean(v.Subject), ":") + ": " + s // a drive is called D:
	}
	if v.Want != "" {
		s += " (should be: " + Clean(v.Want) + ")"
	}
	return s
}

// standards lists where other standards ask for the same, such as "CIS Controls
// 8.1: 3.6".
func standards(maps map[string][]string) []string {
	var parts []string
	for key, ids := range maps {
		parts = append(parts, muster.StandardName(key)+": "+strings.Join(ids, ", "))
	}
	slices.Sort(parts)
	return parts
}

// question is one fact of a control and the SQL behind it.
type question struct{ Name, SQL string }

func (v View) questions(f muster.Finding) (list []question) {
	for _, name := range f.Facts {
		sql := v.Facts[name].SQL[v.Audit.Platform]
		list = append(list, question{name, strings.Join(strings.Fields(sql), " ")})
	}
	return list
}

// Clean makes text from the host safe to show: control and format characters,
// with which a file name could repaint a terminal or pass for another, become
// marks, and breaks become spaces.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func verb(n int, noun, one, many string) string {
	if n == 1 {
		return count(n, noun) + " " + one
	}
	return count(n, noun) + " " + many
}

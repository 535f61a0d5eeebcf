package bundle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies"
)

// MaxWaiverYears is how long a waiver may last. What must last longer is a
// change of the baseline.
const MaxWaiverYears = 2

const (
	waiversFile      = "waivers/data.yaml"
	attestationsFile = "attestations/data.yaml"
)

// readExceptions reads waivers and attestations. It is lenient about their
// content, which Lint is not: one that says too little covers nothing.
func (b *Bundle) readExceptions() error {
	if err := policies.ParseExceptions(b.data["waivers"], &b.Waivers, false); err != nil {
		return fmt.Errorf("read waivers: %w", err)
	}
	if err := policies.ParseExceptions(b.data["attestations"], &b.Attestations, false); err != nil {
		return fmt.Errorf("read attestations: %w", err)
	}
	return nil
}

// checkExceptions says what nobody should sign in waivers and attestations.
func (b *Bundle) checkExceptions(hasControl func(id string) bool) (problems []Problem) {
	add := func(file, name, text string, args ...any) {
		problems = append(problems, Problem{File: file, Text: name + ": " + fmt.Sprintf(text, args...)})
	}
	if err := policies.ParseExceptions(b.data["waivers"], new([]muster.Waiver), true); err != nil {
		problems = append(problems, Problem{File: waiversFile, Text: err.Error()})
	}
	if err := policies.ParseExceptions(b.data["attestations"], new([]muster.Attestation), true); err != nil {
		problems = append(problems, Problem{File: attestationsFile, Text: err.Error()})
	}
	seen := map[string]bool{}
	// whom checks what both have, and gives the name of the entry.
	whom := func(file, kind string, n int, id string, county muster.County, host muster.HostID) string {
		name := kind + " " + id
		if id == "" {
			name = fmt.Sprintf("%s %d", kind, n+1)
			add(file, name, "id is missing: a short name that reports can cite")
		} else if seen[name] {
			add(file, name, "the id is there twice")
		}
		seen[name] = true
		if _, err := muster.ParseCounty(string(county)); county != "" && err != nil {
			add(file, name, "%v", err)
		}
		if _, err := muster.ParseHostID(string(host)); host != "" && err != nil {
			add(file, name, "host: %v", err)
		}
		return name
	}
	for i, w := range b.Waivers {
		name := whom(waiversFile, "waiver", i, w.ID, w.County, w.Host)
		if !hasControl(w.Control) {
			add(waiversFile, name, "control %q is not in the policy", w.Control)
		}
		if blank(w.Reason) {
			add(waiversFile, name, "reason is missing")
		}
		if blank(w.Approver) {
			add(waiversFile, name, "approver is missing")
		}
		switch {
		case w.Approved.IsZero():
			add(waiversFile, name, "approved is missing: the day of the approval")
		case !w.Expires.After(w.Approved):
			add(waiversFile, name, "expires must come after approved, %s", w.Approved.Format(time.DateOnly))
		case w.Expires.After(w.Approved.AddDate(MaxWaiverYears, 0, 0)):
			add(waiversFile, name, "lasts more than %d years: approve it again when it ends, or change the baseline", MaxWaiverYears)
		}
	}
	for i, a := range b.Attestations {
		name := whom(attestationsFile, "attestation", i, a.ID, a.County, a.Host)
		if !factName.MatchString(a.Claim) {
			add(attestationsFile, name, "claim %q is no name: use lower-case letters, digits and _, for example restore_tested", a.Claim)
		}
		if blank(a.By) {
			add(attestationsFile, name, "by is missing: say who attests")
		}
		switch {
		case a.On.IsZero():
			add(attestationsFile, name, "on is missing: the day on which it was so")
		case !a.Until.After(a.On):
			add(attestationsFile, name, "until must come after on, %s", a.On.Format(time.DateOnly))
		}
	}
	return problems
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

func (b *Bundle) hasControl(id string) bool {
	return slices.ContainsFunc(b.Controls, func(c muster.Control) bool { return c.ID == id })
}

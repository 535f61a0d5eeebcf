package output

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// Explanation is a control, and what concerns it on one host.
type Explanation struct {
	Control muster.Control
	// Platform whose remedy and SQL are told.
	Platform muster.Platform
	// Lists that it reads, one sentence each.
	Lists []string
	// Waivers of it, and Attestations that it reads, also those for other hosts.
	Waivers      []muster.Waiver
	Attestations []muster.Attestation
}

// Explain writes what a control asks for, why, and how it is checked. Of v it
// uses Facts, Width and Color.
func Explain(w io.Writer, e Explanation, v View) error {
	t, c := newText(w, v), e.Control
	t.para(0, bold, c.ID+": "+c.Title)
	t.item("Weight", weight(c.Severity))
	t.item("Hosts", fmt.Sprintf("%s, on %s", join(c.Profiles), join(c.Platforms)))
	t.item("Matters", c.Why)
	t.item("Do", c.RemedyOn(e.Platform))
	t.items("Asked by", standards(c.Maps))
	t.items("Lists", e.Lists)
	for i, x := range e.Waivers {
		t.item(label(i, "Waived"), fmt.Sprintf("for %s from %s until %s, by %s (%s): %s",
			whom(x.County, x.Host), day(x.Approved), day(x.Expires), x.Approver, x.ID, x.Reason))
	}
	for i, x := range e.Attestations {
		t.item(label(i, "Attested"), fmt.Sprintf("%s, for %s from %s until %s, by %s (%s)",
			x.Claim, whom(x.County, x.Host), day(x.On), day(x.Until), x.By, x.ID))
	}
	t.line()
	if !slices.Contains(c.Platforms, e.Platform) {
		t.para(0, "", fmt.Sprintf("It is not checked on %s: --platform %s shows how it is checked there.", e.Platform, c.Platforms[0]))
		return t.Flush()
	}
	t.para(0, bold, fmt.Sprintf("How it is checked on %s", e.Platform))
	t.para(0, "", "The computer answers these questions in SQL. Where one that is required has no answer, or a list is missing or too old, the control is unknown. Where one that helps has none, it can fail but not pass.")
	for _, name := range factNames(c) {
		if sql := v.Facts[name].SQL[e.Platform]; sql != "" {
			t.line()
			t.para(4, "", name+", "+role(c, name)+":")
			t.para(6, "", sql)
		}
	}
	for _, p := range c.Platforms {
		if p != e.Platform {
			t.line()
			t.para(0, "", fmt.Sprintf("--platform %s shows the same for %s.", p, p))
		}
	}
	return t.Flush()
}

func weight(s muster.Severity) string {
	if s.Gates() {
		return s.String() + "; a host that fails it does not meet the baseline"
	}
	return s.String()
}

// role tells what the fact is to the control.
func role(c muster.Control, name string) string {
	for _, names := range c.Facts {
		if len(names) == 1 && names[0] == name {
			return "required"
		}
	}
	if slices.Contains(c.Also, name) {
		return "helps"
	}
	for _, names := range c.Facts {
		if slices.Contains(names, name) {
			return "one of " + strings.Join(names, " and ") + " is required"
		}
	}
	return ""
}

// whom says for which hosts a waiver or an attestation is.
func whom(county muster.County, host muster.HostID) string {
	switch {
	case host != "":
		return "host " + string(host)
	case county != "":
		return "county " + string(county)
	}
	return "every host"
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// Catalogue writes one line a control.
func Catalogue(w io.Writer, controls []muster.Control, v View) error {
	t := newText(w, v)
	for _, c := range controls {
		prefix := fmt.Sprintf("%-11s %-9s ", c.ID, c.Severity)
		t.hang(prefix, len(prefix), "", Clean(c.Title))
	}
	return t.Flush()
}

// factNames are all facts that the control asks, each once.
func factNames(c muster.Control) (names []string) {
	seen := map[string]bool{}
	for _, any := range append(c.Facts[:len(c.Facts):len(c.Facts)], c.Also) {
		for _, name := range any {
			if !seen[name] {
				names = append(names, name)
			}
			seen[name] = true
		}
	}
	return names
}

func join[T ~string](list []T) string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = string(s)
	}
	return strings.Join(names, " and ")
}

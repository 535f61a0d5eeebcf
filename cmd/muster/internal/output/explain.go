package output

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// Explain writes what a control asks for, why, and how it is checked. Of v it
// uses Facts, Width and Color.
func Explain(w io.Writer, c muster.Control, v View) error {
	t := newText(w, v)
	t.para(0, bold, c.ID+": "+c.Title)
	t.item("Weight", c.Severity.String())
	t.item("Hosts", fmt.Sprintf("profile %s on %s", join(c.Profiles), join(c.Platforms)))
	t.item("Matters", c.Why)
	t.item("Do", c.Remedy)
	for _, p := range slices.Sorted(maps.Keys(c.Remedies)) {
		t.item("", "On "+string(p)+": "+c.Remedies[p])
	}
	for i, names := range c.Facts {
		t.item(label(i, "Needs"), "fact "+strings.Join(names, " or "))
	}
	for i, name := range c.Also {
		t.item(label(i, "Helps"), "fact "+name)
	}
	for i, name := range c.Lists {
		t.item(label(i, "Lists"), name)
	}
	if s := standards(c.Maps); s != "" {
		t.item("Asked by", s)
	}
	for _, name := range factNames(c) {
		for _, p := range []muster.Platform{muster.Windows, muster.Linux} {
			if sql := v.Facts[name].SQL[p]; sql != "" {
				t.line()
				t.para(4, "", fmt.Sprintf("%s on %s:", name, p))
				t.para(6, "", sql)
			}
		}
	}
	return t.Flush()
}

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

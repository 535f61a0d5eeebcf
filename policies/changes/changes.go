// Package changes tells in words what a policy bundle changes against an older
// one, so that whoever signs or publishes it sees what hosts will be judged by.
//
// It looks at plain files, as policies.Unpack gives them, and needs no OPA: the
// collector shows the same words. It trusts neither bundle and verifies nothing.
package changes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Kinds of things that change, in the order in which they are told.
const (
	KindRelease     = "release"
	KindControl     = "control"
	KindFact        = "fact"
	KindHelper      = "helper" // Rego that several controls share
	KindList        = "list"
	KindWaiver      = "waiver"
	KindAttestation = "attestation"
	KindData        = "data" // anything else that controls may read
)

var kinds = []string{KindRelease, KindControl, KindFact, KindHelper, KindList, KindWaiver, KindAttestation, KindData}

// Change is one difference. What is added has no Old, what is removed no New.
type Change struct {
	Kind string `json:"kind"`
	// Name of what changed: "MVS-ENC-01", "disk_encryption", "ports_allowed (county 17031)".
	Name string `json:"name,omitempty"`
	// What about it: "added", "removed", "severity", "SQL on linux", "entry added", …
	What string `json:"what"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// longest text that is told on the line itself.
const longest = 50

// String tells the change on one line, and long or several texts on lines of
// their own after it, the old with "-" and the new with "+".
func (c Change) String() string {
	head := strings.TrimSpace(printable(c.Kind + " " + c.Name + ": " + c.What))
	if c.Name == "" {
		head = printable(c.Kind + ": " + c.What)
	}
	whole := c.Old + c.New
	switch {
	case whole == "":
		return head
	case strings.Contains(whole, "\n") || len(whole) > 2*longest && c.Old != "" && c.New != "":
		return head + marked("-", c.Old) + marked("+", c.New)
	case c.Old == "" || c.New == "":
		return head + ": " + printable(whole)
	}
	return head + ": " + printable(c.Old) + " → " + printable(c.New)
}

func marked(mark, text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(text, "\t", "  ")) {
		if line = strings.TrimRight(printable(line), " "); line != "" {
			b.WriteString("\n    " + mark + " " + line)
		}
	}
	return b.String()
}

// printable makes the words of a bundle that nobody has verified fit for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

// Between lists what new changes against old, each the files of one bundle. No
// changes means that both judge alike. Where one of them has no manifest, as
// sources have none, releases are not compared.
func Between(old, new map[string][]byte) ([]Change, error) {
	was, err := read(old)
	if err != nil {
		return nil, fmt.Errorf("read the older policy: %w", err)
	}
	is, err := read(new)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	d := &differ{}
	d.release(was, is)
	d.controls(was, is)
	d.texts(KindFact, was.facts, is.facts)
	d.texts(KindHelper, was.helpers, is.helpers)
	d.lists(was.lists, is.lists)
	d.entries(KindWaiver, was.waivers, is.waivers)
	d.entries(KindAttestation, was.attestations, is.attestations)
	d.texts(KindData, was.other, is.other)
	slices.SortStableFunc(d.all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(a.Name, b.Name))
	})
	return d.all, nil
}

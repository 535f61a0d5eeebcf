package output

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/passmuster/muster"
)

// shown is how much evidence of one control the text shows without --verbose.
const shown = 5

const labelWidth = 7

// text writes wrapped lines; the first error sticks to the bufio.Writer.
type text struct {
	*bufio.Writer
	View
	width int
}

func writeText(w io.Writer, v View) error {
	t := newText(w, v)
	g := group(v.Audit.Findings)
	if v.Notice != "" {
		t.para(0, yellow, v.Notice)
		t.line()
	}
	t.para(0, bold+headColor(v.Audit.Summary), v.headline())
	t.para(0, "", v.context())
	t.fails(g.Fail)
	t.unknowns(g.Unknown)
	t.waived(g.Waived)
	t.notes(g.Notes)
	if v.Verbose {
		t.plain("Pass", green, g.Pass)
		t.plain("Not applicable", "", g.NotApplicable)
	}
	t.line()
	t.para(0, "", v.totals()+t.more(g))
	for _, warning := range v.Warnings {
		t.para(0, yellow, "Warning: "+warning)
	}
	if v.Outcome != "" {
		t.para(0, "", v.Outcome)
	}
	return t.Flush()
}

func newText(w io.Writer, v View) text {
	t := text{bufio.NewWriter(w), v, 80}
	if v.Width > 0 {
		t.width = min(max(v.Width, 40), 110)
	}
	return t
}

func (t text) more(g groups) string {
	if !t.Verbose && len(g.Pass)+len(g.NotApplicable) > 0 {
		return " --verbose lists them all."
	}
	return ""
}

func (t text) fails(list []muster.Finding) {
	if len(list) == 0 {
		return
	}
	t.heading("Fix first", "these should be so, and are not")
	for i, f := range list {
		t.title(i+1, red, f)
		for j, v := range f.Violations {
			if j == shown && !t.Verbose && len(f.Violations) > shown+1 {
				t.item("", fmt.Sprintf("and %d more; --verbose shows all", len(f.Violations)-shown))
				break
			}
			t.item(label(j, "Found"), found(v))
		}
		t.extra(f)
		t.item("Do", f.Remedy)
		t.explain(f)
	}
}

func (t text) unknowns(list []muster.Finding) {
	if len(list) == 0 {
		return
	}
	t.heading("Not known", "these could not be checked, and do not count as passed")
	for i, f := range list {
		t.title(i+1, yellow, f)
		t.item("Why", t.why(f))
		t.item("To know", t.toKnow(f))
		t.extra(f)
		t.explain(f)
	}
}

func (t text) waived(list []muster.Finding) {
	if len(list) == 0 {
		return
	}
	t.heading("Waived", "excused for a time")
	for i, f := range list {
		t.title(i+1, "", f)
		t.item("Until", fmt.Sprintf("%s, by %s: %s", f.Waiver.Expires.UTC().Format("2 January 2006"), f.Waiver.Approver, f.Waiver.Reason))
		t.extra(f)
		t.explain(f)
	}
}

func (t text) notes(list []muster.Finding) {
	if len(list) == 0 {
		return
	}
	t.heading("Notes", "no fault, but good to know")
	for i, f := range list {
		t.title(i+1, "", f)
		t.extra(f)
	}
}

func (t text) plain(name, color string, list []muster.Finding) {
	if len(list) == 0 {
		return
	}
	t.heading(name, "")
	for i, f := range list {
		t.title(i+1, color, f)
		if f.Reason != "" {
			t.item("Why", f.Reason)
		}
		t.explain(f)
	}
}

func (t text) extra(f muster.Finding) {
	for i, n := range f.Notes {
		t.item(label(i, "Note"), n)
	}
}

func (t text) explain(f muster.Finding) {
	c, ok := t.Controls[f.Control]
	if !t.Explain || !ok {
		return
	}
	t.item("Matters", c.Why)
	for i, q := range t.questions(f) {
		t.item(label(i, "Checked"), q.Name+": "+q.SQL)
	}
	t.items("Asked by", standards(c.Maps))
}

func (t text) heading(name, rest string) {
	t.line()
	if rest != "" {
		rest = ": " + rest
	}
	t.para(0, bold, name+rest)
}

func (t text) title(n int, color string, f muster.Finding) {
	t.line()
	number := fmt.Sprintf("%2d. ", n)
	t.hang(number, len(number), color, fmt.Sprintf("%s (%s, %s)", Clean(f.Title), f.Control, f.Severity))
}

func (t text) item(name, s string) {
	if s != "" {
		t.hang(fmt.Sprintf("    %-*s ", labelWidth+1, name), 4+labelWidth+2, "", Clean(s))
	}
}

// items writes the name before the first.
func (t text) items(name string, list []string) {
	for i, s := range list {
		t.item(label(i, name), s)
	}
}

func (t text) para(indent int, color, s string) {
	t.hang(strings.Repeat(" ", indent), indent, color, Clean(s))
}

func (t text) line() { t.WriteByte('\n') }

// hang writes s wrapped, its first line after prefix and the others indented.
func (t text) hang(prefix string, indent int, color, s string) {
	for i, l := range wrap(s, t.width-indent) {
		if i > 0 {
			prefix = strings.Repeat(" ", indent)
		}
		if t.Color && color != "" {
			l = color + l + reset
		}
		t.WriteString(prefix + l + "\n")
	}
}

func label(i int, name string) string {
	if i > 0 {
		return ""
	}
	return name
}

// wrap breaks at spaces; a word longer than the line stays whole, so that a
// path or a command can be copied.
func wrap(s string, width int) (lines []string) {
	var line string
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// ANSI colours.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

func headColor(s muster.Summary) string {
	switch {
	case s.MeetsBaseline && s.Fail+s.Unknown == 0:
		return green
	case s.Fail > 0:
		return red
	}
	return yellow
}

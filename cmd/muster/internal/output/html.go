package output

import (
	_ "embed"
	"fmt"
	"html"
	"io"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// head is the page up to its content; %s is the host.
//
//go:embed audit.html
var head string

// page is HTML in the making. It has no html/template, which adds 3 MB to the
// program: with reflection the linker keeps every method of every type.
type page struct{ strings.Builder }

// put writes a format of ours; whatever goes into it is escaped.
func (p *page) put(format string, texts ...string) {
	escaped := make([]any, len(texts))
	for i, t := range texts {
		escaped[i] = html.EscapeString(t)
	}
	fmt.Fprintf(p, format, escaped...)
}

// put1 writes nothing where there is nothing to tell.
func (p *page) put1(format, text string) {
	if text != "" {
		p.put(format, text)
	}
}

// list writes a term of a <dl> and what is told of it, if anything.
func (p *page) list(term string, texts ...string) {
	for i, t := range texts {
		if i == 0 {
			p.put("<dt>%s</dt>", term)
		}
		p.put("<dd>%s</dd>", t)
	}
}

// writeHTML writes one file that needs nothing else: no script, no font, no network.
func writeHTML(w io.Writer, v View) error {
	p := &page{}
	p.put(head, Clean(v.Audit.Host))
	p.put1("<p class=\"notice\">%s</p>", v.Notice)
	p.put("\n<h1>%s</h1>\n<p>%s</p>\n<p>%s</p>\n", v.headline(), v.context(), v.totals())
	g := group(v.Audit.Findings)
	v.section(p, "fail", "Fix first", "These should be so, and are not.", g.Fail)
	v.section(p, "unknown", "Not known", "These could not be checked, and do not count as passed.", g.Unknown)
	v.section(p, "waived", "Waived", "Excused for a time.", g.Waived)
	v.section(p, "notes", "Notes", "No fault, but good to know.", g.Notes)
	v.section(p, "pass", "Pass", "", g.Pass)
	v.section(p, "na", "Not applicable", "", g.NotApplicable)
	p.put("</main>\n<footer>\n")
	for _, warning := range v.Warnings {
		p.put("<p>Warning: %s</p>\n", warning)
	}
	p.put1("<p>%s</p>\n", v.Outcome)
	p.put("</footer>\n</body>\n</html>\n")
	_, err := io.WriteString(w, p.String())
	return err
}

// section writes findings; without a lead they need no action, so they are folded,
// and print all the same.
func (v View) section(p *page, id, title, lead string, list []muster.Finding) {
	if len(list) == 0 {
		return
	}
	end := "</section>\n"
	if lead == "" {
		p.put("<details><summary><h2>%s (%s)</h2></summary>\n", title, strconv.Itoa(len(list)))
		end = "</details>\n"
	} else {
		p.put("<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s (%s)</h2><p>%s</p>\n", id, id, title, strconv.Itoa(len(list)), lead)
	}
	p.put("<ol class=\"%s\">\n", id)
	for _, f := range list {
		v.finding(p, id, f)
	}
	p.put("</ol>\n" + end)
}

func (v View) finding(p *page, section string, f muster.Finding) {
	p.put("<li id=\"%s-%s\">\n<h3><span class=\"status\">%s</span> %s <span class=\"tag\">%s, %s</span></h3>\n<dl>",
		section, f.Control, strings.ReplaceAll(f.Status.String(), "_", " "), Clean(f.Title), f.Control, f.Severity.String())
	if f.Status == muster.StatusUnknown {
		f.Reason = v.why(f)
	}
	p.put1("<dt>Why</dt><dd>%s</dd>", Clean(f.Reason))
	p.list("Found", texts(f.Violations, found)...)
	if f.Status == muster.StatusUnknown {
		p.put1("<dt>To know</dt><dd>%s</dd>", v.toKnow(f))
	}
	if w := f.Waiver; w != nil {
		p.put("<dt>Until</dt><dd>%s, by %s: %s</dd>", w.Expires.UTC().Format("2 January 2006"), Clean(w.Approver), Clean(w.Reason))
	}
	p.list("Note", texts(f.Notes, Clean)...)
	if section == "fail" {
		p.put("<dt>Do</dt><dd class=\"do\">%s</dd>", f.Remedy)
	}
	c, ok := v.Controls[f.Control]
	if !ok || !v.Explain {
		p.put("</dl>\n</li>\n")
		return
	}
	p.put1("<dt>Matters</dt><dd>%s</dd>", c.Why)
	p.put1("<dt>Asked by</dt><dd>%s</dd>", strings.Join(standards(c.Maps), "; "))
	p.put("</dl>\n")
	if questions := v.questions(f); len(questions) > 0 {
		p.put("<details><summary>How it is checked</summary><dl>")
		for _, q := range questions {
			p.put("<dt>%s</dt><dd><code>%s</code></dd>", q.Name, q.SQL)
		}
		p.put("</dl></details>\n")
	}
	p.put("</li>\n")
}

func texts[T any](list []T, text func(T) string) (all []string) {
	for _, item := range list {
		all = append(all, text(item))
	}
	return all
}

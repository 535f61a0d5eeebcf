package output

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

//go:embed audit.html
var page string

// htmlFinding is one finding as the page shows it.
type htmlFinding struct {
	muster.Finding
	ToKnow    string
	Why       string
	Questions []question
	Standards string
}

type htmlSection struct {
	ID, Title, Lead string
	Findings        []htmlFinding
	// Folded sections hold what needs no action; they print all the same.
	Folded bool
}

// writeHTML writes one file that needs nothing else: no script, no font, no network.
func writeHTML(w io.Writer, v View) error {
	// Parsed here because only this form pays for it.
	t, err := template.New("audit").Funcs(template.FuncMap{
		"found":  found,
		"status": func(s muster.Status) string { return strings.ReplaceAll(s.String(), "_", " ") },
		"clean":  Clean,
		"day":    func(t time.Time) string { return t.UTC().Format("2 January 2006") },
	}).Parse(page)
	if err != nil {
		return err
	}
	g := group(v.Audit.Findings)
	section := func(id, title, lead string, folded bool, list []muster.Finding) htmlSection {
		s := htmlSection{ID: id, Title: title, Lead: lead, Folded: folded}
		for _, f := range list {
			s.Findings = append(s.Findings, v.htmlFinding(f))
		}
		return s
	}
	return t.Execute(w, struct {
		View
		Headline, Context, Totals string
		Sections                  []htmlSection
	}{v, v.headline(), v.context(), v.totals(), []htmlSection{
		section("fail", "Fix first", "These should be so, and are not.", false, g.Fail),
		section("unknown", "Not known", "These could not be checked, and do not count as passed.", false, g.Unknown),
		section("waived", "Waived", "Excused for a time.", false, g.Waived),
		section("notes", "Notes", "No fault, but good to know.", false, g.Notes),
		section("pass", "Pass", "", true, g.Pass),
		section("na", "Not applicable", "", true, g.NotApplicable),
	}})
}

func (v View) htmlFinding(f muster.Finding) htmlFinding {
	h := htmlFinding{Finding: f}
	if f.Status == muster.StatusUnknown {
		h.Reason, h.ToKnow = v.why(f), v.toKnow(f)
	}
	if c, ok := v.Controls[f.Control]; ok && v.Explain {
		h.Why, h.Standards, h.Questions = c.Why, strings.Join(standards(c.Maps), "; "), v.questions(f)
	}
	return h
}

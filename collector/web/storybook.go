package web

import (
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// Storybook is a page of every component with sample data, and with links to what there
// is to see: for who works on the pages. No collector serves it. It is made of the
// parts that the pages are made of, and of what the overview reads.
func (p *Pages) Storybook(links map[string][]string) (http.Handler, error) {
	s := &p.server
	t, err := s.pages["overview"].Clone()
	for _, r := range routes() {
		for _, part := range s.pages[r.name].Templates() {
			if err == nil && t.Lookup(part.Name()) == nil {
				_, err = t.AddParseTree(part.Name(), part.Tree.Copy())
			}
		}
	}
	if err == nil {
		_, err = t.ParseFS(files, "templates/storybook.html")
	}
	if err != nil {
		return nil, err
	}
	return secure(packed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := s.of(s.Who(r), muster.View{})
		page, err := t.Clone()
		if err == nil {
			s.present = map[muster.Role]map[string]*template.Template{s.person.Role: {"storybook": page.Funcs(s.bound(s.person.Role, s.view))}}
			var v *view
			if v, err = s.components(r, links); err == nil {
				s.render(w, r, http.StatusOK, "storybook", v)
				return
			}
		}
		http.Error(w, "The storybook could not be made: "+err.Error(), http.StatusInternalServerError)
	}))), nil
}

// components are the samples.
func (s *server) components(r *http.Request, links map[string][]string) (*view, error) {
	overview, err := s.overview(r.Context(), r)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	ago := func(d time.Duration) moment { return moment{now.Add(-d), now} }
	const day = 24 * time.Hour
	some, err := s.Reader.Hosts(r.Context(), s.view, muster.HostQuery{Limit: 3})
	if err != nil {
		return nil, err
	}
	hosts := slices.Clone(some.Hosts)
	for i := range hosts {
		hosts[i].Hostname, hosts[i].Demo = []string{"CLERK-01", "invoice\u202Efdp.exe", ""}[i], i == 0
	}
	var findings []muster.FindingStanding
	evidence := map[string]muster.Evidence{}
	for i, c := range s.Catalogue[:min(2, len(s.Catalogue))] {
		findings = append(findings, muster.FindingStanding{Control: c.ID, Status: []muster.Status{muster.StatusFail, muster.StatusUnknown}[i], Since: now.Add(-9 * day)})
		evidence[c.ID] = []muster.Evidence{
			{Violations: []muster.Violation{{Subject: "C:", Found: "not encrypted", Want: "encrypted"}}, Notes: []string{"D: is encrypted"}},
			{Reason: "the update history could not be read: access denied"}}[i]
	}
	var told *hostReports
	if len(some.Hosts) > 0 {
		if told, err = s.reports(r.Context(), some.Hosts[0], 0, nil); err != nil {
			return nil, err
		}
	}
	return &view{Title: "Storybook", Here: "Storybook", Page: map[string]any{
		"Tokens": [][]string{{"paper", "surface", "sunk", "rule", "soft", "ink"}, {"link", "brand", "pass", "fail", "unknown", "stale"},
			{"pass-wash", "fail-wash", "unknown-wash", "stale-wash", "demo", "demo-ink"}},
		"Marks":      []string{"pass", "fail", "unknown", "stale", "wait", "waived", "none", "worse", "better"},
		"Standings":  []standing{standsMeeting, standsFailing, standsUnknown, standsStale, standsReplaced},
		"Statuses":   []mark{markOf(muster.StatusPass, ""), markOf(muster.StatusFail, ""), markOf(muster.StatusUnknown, ""), markOf(muster.StatusFail, "W"), markOf(muster.StatusNotApplicable, "")},
		"Severities": []muster.Severity{muster.SeverityCritical, muster.SeverityHigh, muster.SeverityMedium, muster.SeverityLow},
		"Tallies": map[string]tally{"Usual": {Hosts: 120, Meeting: 74, Failing: 31, Unknown: 9, Stale: 6, Pending: 1},
			"One": {Hosts: 1, Meeting: 1}, "All": {Hosts: 112400, Meeting: 20000, Failing: 61000, Unknown: 1400, Stale: 30000, Pending: 2310, Missing: 5100}},
		"Moments":  []moment{ago(0), ago(8 * time.Minute), ago(31 * time.Hour), ago(23 * day), ago(200 * day), ago(-3 * day), {}},
		"Hosts":    hosts,
		"Crowds":   []crowd{hosts[:min(1, len(hosts))], hosts, slices.Repeat(hosts, 402)},
		"Findings": s.hostParts(muster.Host{Platform: muster.Windows}, findings, evidence),
		"Reports":  told,
		"Overview": overview.Page, "Links": links,
	}}, nil
}

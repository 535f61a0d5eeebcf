package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// A download is something that can be taken out as a file.
type download struct {
	Route       string
	Name, About string
	Format      string
	// Past: it can be had as of an instant. Whole: it is of no county. Part: of a county
	// only, or where it takes one of a control. Days: from a day, to another.
	Past, Whole, Part, Control, Days bool
	// Size says how many lines it has; nil where that is not known.
	Size func(*exportsPage) string
}

// mostLines are in a list that comes without pages, such as api.MaxLimit.
const mostLines = 5000

// exportGroup is downloads for one kind of reader.
type exportGroup struct {
	ID, Heading, Lead string
	Downloads         []download
}

func exportGroups() []exportGroup {
	const csv = "CSV"
	lines := func(of func(*exportsPage) int) func(*exportsPage) string {
		return func(p *exportsPage) string { return count(of(p), "line") }
	}
	most := func(*exportsPage) string { return "at most " + count(mostLines, "line") }
	return []exportGroup{
		{"lists", "Lists for a spreadsheet", "For whoever counts, sorts and writes to a county. Times are in UTC.", []download{
			{Route: "/hosts", Name: "Computers", About: "Each one: county, kind, how it stands, its last report, its policy. Of a control: those that fail it or could not be checked.", Format: csv, Past: true, Control: true, Size: lines(func(p *exportsPage) int { return p.Hosts })},
			{Route: "/counties", Name: "Counties", About: "How many computers meet the baseline, do not, cannot tell, are not heard from.", Format: csv, Past: true, Size: lines((*exportsPage).places)},
			{Route: "/controls", Name: "Controls", About: "On how many computers each one passes, fails, or could not be checked.", Format: csv, Past: true},
			{Route: "/findings", Name: "What is not met", About: "Each control that fails or could not be checked, on each computer.", Format: csv, Past: true, Part: true, Control: true},
			{Route: "/transitions", Name: "What changed", About: "The newest changes of verdicts, first verdicts left out. For older ones choose a day before.", Format: csv, Past: true, Size: most},
			{Route: "/stale", Name: "Not heard from", About: "Computers that were silent for too long, the longest first.", Format: csv, Past: true, Size: lines(func(p *exportsPage) int { return min(p.Stale, mostLines) })},
			{Route: "/pending", Name: "Waiting for approval", About: "Computers that nobody has approved yet.", Format: csv, Size: lines(func(p *exportsPage) int { return p.Pending })},
			{Route: "/expected", Name: "Expected computers", About: "What counties say they have, and which of it is missing.", Format: csv, Past: true},
			{Route: "/days", Name: "Day by day", About: "How the state, or the county, stood at the end of each day, UTC.", Format: csv, Days: true},
			{Route: "/counties/{county}/contacts", Name: "Contacts", About: "Whom to call in the county.", Format: csv, Part: true},
			{Route: "/waivers", Name: "Waivers", About: "Exceptions in the policy in force, with who approved them and until when.", Format: csv, Past: true},
			{Route: "/attestations", Name: "Attestations", About: "What a person has vouched for, and until when.", Format: csv, Past: true},
			{Route: "/asks", Name: "Requests for waivers", About: "Who asked for an exception, and what was answered.", Format: csv},
			{Route: "/events", Name: "Events", About: "What webhooks are told: computers that wait, fail, fall silent, return.", Format: csv},
		}},
		{"audit", "For auditors and their tools", "Everything that was judged, in a format of a standard.", []download{
			{Route: "/export/oscal", Name: "Assessment results", About: "NIST's OSCAL, for a governance tool or an auditor.", Format: "OSCAL, JSON", Past: true, Size: judged("finding")},
			{Route: "/export/ocsf", Name: "Compliance findings", About: "OCSF, for a SIEM or a data lake.", Format: "OCSF, JSON lines", Past: true, Size: judged("line")},
		}},
		{"state", "About the collector itself", "", []download{
			{Route: "/audit-log", Name: "Log", About: "Every change, every sign-in and every file taken out.", Format: csv, Whole: true},
			{Route: "/policies", Name: "Policies", About: "What was published, when and by whom, and how far it is offered.", Format: csv, Whole: true},
			{Route: "/rings", Name: "Rings", About: "Which counties and computers try a policy first.", Format: csv, Whole: true},
			{Route: "/deliveries", Name: "Webhook deliveries", About: "What became of each event on its way.", Format: csv, Whole: true},
		}},
		{"programs", "For programs", "All of this page, and more, by a documented interface.", []download{
			{Route: "/openapi.json", Name: "Description of the interface", About: "OpenAPI: every address, parameter and field.", Format: "OpenAPI, JSON", Whole: true},
		}},
	}
}

// judged is the size of what has each control on each host, of which some are asked less.
func judged(noun string) func(*exportsPage) string {
	return func(p *exportsPage) string { return "about " + count(p.Hosts*len(p.Controls), noun) }
}

// exportRow is a download that the reader may have; Href is "" where a county must be
// chosen first.
type exportRow struct {
	download
	Href string
	Size string // in words; "" where it is not known
	Now  bool   // it is of now, though the page is about the past
}

type exportsPage struct {
	Groups   []exportRows
	County   muster.County   // "" for the state
	Counties []muster.County // to choose from
	All      bool            // the state can be chosen
	Control  string          // "" for all
	Controls []muster.Control
	From, To string // days, "" for the last 90
	LastDay  string // that has ended, at the instant of the page
	View     muster.View
	AsOf     string
	tally
}

type exportRows struct {
	exportGroup
	Rows []exportRow
}

func (s *server) exports(ctx context.Context, r *http.Request) (*view, error) {
	q := r.URL.Query()
	page := exportsPage{View: s.view, All: s.person.Role != "", Control: q.Get("control"), From: q.Get("from"), To: q.Get("to"),
		LastDay: s.Now().UTC().Add(time.Microsecond).Truncate(24*time.Hour).AddDate(0, 0, -1).Format(time.DateOnly)}
	if _, ok := s.controls[page.Control]; !ok && page.Control != "" {
		return nil, fs.ErrNotExist
	}
	if err := page.days(); err != nil {
		return nil, err
	}
	if c := q.Get("county"); c != "" {
		var err error
		if page.County, err = muster.ParseCounty(c); err != nil {
			return nil, fs.ErrNotExist
		}
	}
	if !s.view.Now() {
		page.AsOf = s.view.At.Format(time.RFC3339Nano)
	}
	all, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	v := &view{Title: "Exports", Here: "Exports"}
	var sum muster.CountyStanding
	for _, c := range all {
		if s.person.reads(c.County) {
			v.Demo.county(c)
			page.Counties = append(page.Counties, c.County)
		}
		if page.County == "" || c.County == page.County {
			sum.Add(c)
		}
	}
	page.tally = tallyOf(sum)
	page.Controls = slices.SortedFunc(maps.Values(s.controls), func(a, b muster.Control) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(page.Counties, func(a, b muster.County) int { return strings.Compare(countyName(a), countyName(b)) })
	for _, g := range exportGroups() {
		rows := exportRows{exportGroup: g}
		for _, d := range g.Downloads {
			if s.May(s.person.Role, "GET /api/v1"+d.Route) {
				rows.Rows = append(rows.Rows, s.exportRow(d, &page))
			}
		}
		if rows.Rows != nil {
			page.Groups = append(page.Groups, rows)
		}
	}
	v.Page = page
	return v, nil
}

// places are the counties that it is about.
func (p *exportsPage) places() int {
	if p.County != "" {
		return 1
	}
	return len(p.Counties)
}

// days are dates, the first before the last, whichever was entered first.
func (p *exportsPage) days() error {
	for _, day := range []string{p.From, p.To} {
		if _, err := time.Parse(time.DateOnly, day); err != nil && day != "" {
			return fmt.Errorf("day %q: %w", day, fs.ErrNotExist)
		}
	}
	if cmp.Or(p.To, p.LastDay) < p.From {
		p.From, p.To = p.To, p.From
	}
	return nil
}

func (s *server) exportRow(d download, p *exportsPage) exportRow {
	row := exportRow{download: d, Now: !d.Past && !d.Whole && !d.Days && !s.view.Now()}
	ofControl := d.Control && p.Control != ""
	if d.Part && p.County == "" && !ofControl {
		return row
	}
	if d.Size != nil && !ofControl {
		row.Size = d.Size(p)
	}
	q := url.Values{}
	if d.Past && !s.view.Now() {
		q, _ = url.ParseQuery(strings.TrimPrefix(suffix(s.view), "?"))
	}
	path := strings.Replace(d.Route, "{county}", string(p.County), 1)
	if !d.Whole && p.County != "" && path == d.Route {
		q.Set("county", string(p.County))
	}
	if ofControl {
		q.Set("control", p.Control)
	}
	if d.Days && p.From != "" {
		q.Set("from", p.From)
	}
	if d.Days && (p.To != "" || !s.view.Now()) {
		q.Set("to", cmp.Or(p.To, p.LastDay))
	}
	if d.Format == "CSV" {
		q.Set("format", "csv")
	}
	row.Href = "/api/v1" + path
	if len(q) > 0 {
		row.Href += "?" + q.Encode()
	}
	return row
}

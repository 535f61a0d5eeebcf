package web

import (
	"context"
	"io/fs"
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
	// only.
	Past, Whole, Part bool
}

// exportGroup is downloads for one kind of reader.
type exportGroup struct {
	ID, Heading, Lead string
	Downloads         []download
}

func exportGroups() []exportGroup {
	const csv = "CSV"
	return []exportGroup{
		{"lists", "Lists for a spreadsheet", "For whoever counts, sorts and writes to a county. Times are in UTC.", []download{
			{Route: "/hosts", Name: "Computers", About: "Each one: county, kind, how it stands, its last report, its policy.", Format: csv, Past: true},
			{Route: "/counties", Name: "Counties", About: "How many computers meet the baseline, do not, cannot tell, are not heard from.", Format: csv, Past: true},
			{Route: "/controls", Name: "Controls", About: "On how many computers each one passes, fails, or could not be checked.", Format: csv, Past: true},
			{Route: "/findings", Name: "What is not met", About: "Each control that fails or could not be checked, on each computer of the county.", Format: csv, Past: true, Part: true},
			{Route: "/transitions", Name: "What changed", About: "The newest changes of verdicts, first verdicts left out.", Format: csv, Past: true},
			{Route: "/stale", Name: "Not heard from", About: "Computers that were silent for too long, the longest first.", Format: csv, Past: true},
			{Route: "/pending", Name: "Waiting for approval", About: "Computers that nobody has approved yet.", Format: csv},
			{Route: "/expected", Name: "Expected computers", About: "What counties say they have, and which of it is missing.", Format: csv, Past: true},
			{Route: "/days", Name: "Day by day", About: "How the state, or the county, stood at the end of each of the last days.", Format: csv},
			{Route: "/waivers", Name: "Waivers", About: "Exceptions in the policy in force, with who approved them and until when.", Format: csv, Past: true},
			{Route: "/attestations", Name: "Attestations", About: "What a person has vouched for, and until when.", Format: csv, Past: true},
			{Route: "/asks", Name: "Requests for waivers", About: "Who asked for an exception, and what was answered.", Format: csv},
			{Route: "/events", Name: "Events", About: "What webhooks are told: computers that wait, fail, fall silent, return.", Format: csv},
		}},
		{"audit", "For auditors and their tools", "Everything that was judged, in a format of a standard.", []download{
			{Route: "/export/oscal", Name: "Assessment results", About: "NIST's OSCAL, for a governance tool or an auditor.", Format: "OSCAL, JSON", Past: true},
			{Route: "/export/ocsf", Name: "Compliance findings", About: "OCSF, for a SIEM or a data lake.", Format: "OCSF, JSON lines", Past: true},
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

// exportRow is a download that the reader may have; Href is "" where a county must be
// chosen first.
type exportRow struct {
	download
	Href string
	Now  bool // it is of now, though the page is about the past
}

type exportsPage struct {
	Groups   []exportRows
	County   muster.County   // "" for the state
	Counties []muster.County // to choose from
	All      bool            // the state can be chosen
	View     muster.View
	AsOf     string
}

type exportRows struct {
	exportGroup
	Rows []exportRow
}

func (s *server) exports(ctx context.Context, r *http.Request) (*view, error) {
	page := exportsPage{View: s.view, All: s.person.Role != ""}
	if c := r.URL.Query().Get("county"); c != "" {
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
	for _, c := range all {
		if s.person.reads(c.County) {
			v.Demo.county(c)
			page.Counties = append(page.Counties, c.County)
		}
	}
	slices.SortFunc(page.Counties, func(a, b muster.County) int { return strings.Compare(countyName(a), countyName(b)) })
	for _, g := range exportGroups() {
		rows := exportRows{exportGroup: g}
		for _, d := range g.Downloads {
			if s.May(s.person.Role, "GET /api/v1"+d.Route) {
				rows.Rows = append(rows.Rows, s.exportRow(d, page.County))
			}
		}
		if rows.Rows != nil {
			page.Groups = append(page.Groups, rows)
		}
	}
	v.Page = page
	return v, nil
}

func (s *server) exportRow(d download, county muster.County) exportRow {
	row := exportRow{download: d, Now: !d.Past && !d.Whole && !s.view.Now()}
	if d.Part && county == "" {
		return row
	}
	q := url.Values{}
	if d.Past && !s.view.Now() {
		q, _ = url.ParseQuery(strings.TrimPrefix(suffix(s.view), "?"))
	}
	if !d.Whole && county != "" {
		q.Set("county", string(county))
	}
	if d.Format == "CSV" {
		q.Set("format", "csv")
	}
	row.Href = "/api/v1" + d.Route
	if len(q) > 0 {
		row.Href += "?" + q.Encode()
	}
	return row
}

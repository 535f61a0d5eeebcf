package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"slices"

	"github.com/passmuster/muster"
)

// fixFirst is how many things a county is told to do first; Advice has words for them.
const fixFirst = 3

// A fix is one control that is not met, and the hosts it concerns.
type fix struct {
	muster.Control
	Mark  mark
	Hosts crowd
}

// A crowd is hosts of which a sentence can name but a few.
type crowd []muster.HostStanding

// Named are the hosts to name; More is how many remain.
func (c crowd) Named() []muster.HostStanding { return c[:min(len(c), 6)] }
func (c crowd) More() int                    { return len(c) - len(c.Named()) }

type hostRow struct {
	muster.HostStanding
	Standing standing
	Seen     moment
	Gating   int // critical and high controls that fail
	Other    int // the other fails
	Unsure   int // controls that could not be checked
}

type countyPage struct {
	County muster.County
	State  string
	tally
	First  []fix // what matters most and fails
	Next   []fix // what else fails
	Blind  []fix // what could not be checked
	Rows   []hostRow
	Absent []muster.ExpectedHost // expected, and never enrolled or gone
}

// Advice is the sentence after the count of hosts.
func (p countyPage) Advice() string {
	switch {
	case len(p.First) > 0:
		return []string{"One thing", "Two things", "Three things"}[len(p.First)-1] + " to fix first:"
	case p.Meeting == p.Hosts && len(p.Next)+len(p.Blind) == 0:
		return "Nothing needs your attention today."
	case p.Meeting == p.Hosts:
		return "Only smaller things remain."
	case p.Unknown > 0:
		return "Nothing important is known to fail, but some of it could not be checked."
	}
	return "The others have not been heard from."
}

func (s *server) county(ctx context.Context, r *http.Request) (*view, error) {
	county, err := muster.ParseCounty(r.PathValue("county"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	page, err := s.Reader.Hosts(ctx, s.view, muster.HostQuery{County: county})
	if err != nil {
		return nil, err
	}
	findings, err := s.Reader.CountyFindings(ctx, s.view, county)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	expected, err := s.Reader.Expected(ctx, s.view, county)
	if err != nil {
		return nil, err
	}
	name := countyName(county)
	p := &countyPage{County: county, State: stateName(county)}
	for _, c := range counties {
		if c.County == county {
			p.Pending, p.Missing = c.Pending, c.Missing
		}
	}
	if len(page.Hosts) == 0 && p.Pending+p.Missing == 0 && name == string(county) {
		return nil, fmt.Errorf("county %s: %w", county, fs.ErrNotExist)
	}
	for _, e := range expected {
		if e.Host == "" {
			p.Absent = append(p.Absent, e)
		}
	}
	byHost := map[muster.HostID][]muster.FindingStanding{}
	for _, f := range findings {
		byHost[f.Host] = append(byHost[f.Host], f)
	}
	v := &view{Title: name, Trail: s.trail(""), Here: name, Page: p}
	for _, h := range page.Hosts {
		v.Demo.add(h.Demo)
		p.Rows = append(p.Rows, s.hostRow(h, byHost[h.ID]))
	}
	slices.SortFunc(p.Rows, func(a, b hostRow) int {
		return cmp.Or(cmp.Compare(a.Standing, b.Standing), cmp.Compare(b.Gating, a.Gating),
			cmp.Compare(b.Other+b.Unsure, a.Other+a.Unsure), cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.ID, b.ID))
	})
	for _, row := range p.Rows {
		if row.Standing == standsReplaced {
			continue
		}
		p.Hosts++
		switch row.Standing {
		case standsMeeting:
			p.Meeting++
		case standsFailing:
			p.Failing++
		case standsStale:
			p.Stale++
		default:
			p.Unknown++
		}
	}
	fails, blind := s.fixes(p.Rows, byHost)
	first := 0
	for first < len(fails) && first < fixFirst && fails[first].Severity.Gates() {
		first++
	}
	p.First, p.Next, p.Blind = fails[:first], fails[first:], blind
	return v, nil
}

func (s *server) hostRow(h muster.HostStanding, findings []muster.FindingStanding) hostRow {
	row := hostRow{HostStanding: h, Standing: s.standingOf(h, findings), Seen: moment{h.LastSeen, s.Now()}}
	for _, f := range findings {
		switch {
		case f.Waiver != "":
		case f.Status == muster.StatusUnknown:
			row.Unsure++
		case f.Status == muster.StatusFail && s.lookup(f.Control).Severity.Gates():
			row.Gating++
		case f.Status == muster.StatusFail:
			row.Other++
		}
	}
	return row
}

// fixes groups what is not met by control, what to fix first in front. Stale
// hosts are left out: what they said may be long mended.
func (s *server) fixes(rows []hostRow, findings map[muster.HostID][]muster.FindingStanding) (fails, blind []fix) {
	at := map[mark]map[string]int{}
	add := func(list *[]fix, f muster.FindingStanding, h muster.HostStanding) {
		m := markOf(f.Status, "")
		if at[m] == nil {
			at[m] = map[string]int{}
		}
		i, ok := at[m][f.Control]
		if !ok {
			i = len(*list)
			at[m][f.Control] = i
			*list = append(*list, fix{Control: s.lookup(f.Control), Mark: m})
		}
		(*list)[i].Hosts = append((*list)[i].Hosts, h)
	}
	for _, row := range rows {
		if row.Stale {
			continue
		}
		for _, f := range findings[row.ID] {
			switch {
			case f.Waiver != "":
			case f.Status == muster.StatusFail:
				add(&fails, f, row.HostStanding)
			case f.Status == muster.StatusUnknown:
				add(&blind, f, row.HostStanding)
			}
		}
	}
	urgent := func(a, b fix) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(len(b.Hosts), len(a.Hosts)), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(fails, urgent)
	slices.SortFunc(blind, urgent)
	return fails, blind
}

// trail leads from the overview to a page inside the county, or to the county
// itself where it is "".
func (s *server) trail(county muster.County) []link {
	trail := []link{{"/" + suffix(s.view), s.Name}}
	if county != "" {
		trail = append(trail, link{"/counties/" + string(county) + suffix(s.view), countyName(county)})
	}
	return trail
}

package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// How much a control page shows: counties in full and in short, hosts that it reads to
// name some in each of the first, and hosts of one county on a page.
const (
	countiesNamed  = 8
	countiesListed = 300
	hostsRead      = 12
	hostsOnPage    = 50
)

// A place is a county where a control is not met.
type place struct {
	countyRow
	Href   string // of the control there
	Waived int
	Hosts  cohort // that it fails on first; stale ones are left out
}

// Asked is the number of hosts that the control was judged on there.
func (p place) Asked() int { return p.tally.Hosts }

type placedHost struct {
	muster.HostStanding
	Mark  mark
	Since moment
	Seen  moment
}

type controlPage struct {
	muster.Control
	County       muster.County // "" for the state
	Wide         bool          // the reader may read the state
	Known        bool          // the control is in the catalogue
	Standing     muster.ControlStanding
	Then         []earlier
	Requirements []requirement
	Checks       []check
	Map          *stateMap
	Places       []place
	Others       []place // the counties after those, in the same order
	Unlisted     int     // counties after these
	Hosts        []placedHost
	Next         string // the address of the hosts after these
	Again        bool   // a later page of the hosts, with nothing else
	Silent       int    // stale hosts, left out
	vouched
}

// earlier is how a control stood some days before.
type earlier struct {
	Days        int
	Fail, Asked int
}

// A check is what hosts of one platform are asked.
type check struct {
	Platform  muster.Platform
	Questions []question
}

type question struct{ Fact, SQL string }

// checks lists the facts of a control with a statement for each platform.
func (s *server) checks(c muster.Control) (list []check) {
	for _, p := range c.Platforms {
		on := check{Platform: p}
		seen := map[string]bool{}
		for _, name := range append(slices.Concat(c.Facts...), c.Also...) {
			if sql := s.Facts[name].SQL[p]; sql != "" && !seen[name] {
				seen[name] = true
				on.Questions = append(on.Questions, question{name, strings.TrimSpace(sql)})
			}
		}
		if on.Questions != nil {
			list = append(list, on)
		}
	}
	return list
}

// Asked is the number of hosts that the control applies to.
func (p controlPage) Asked() int { return asked(p.Standing) }

func asked(c muster.ControlStanding) int { return c.Pass + c.Fail + c.Unknown + c.Waived }

// met is how a control stands, as a tally: who passes meets, and who is waived does not.
func met(c muster.ControlStanding) tally {
	return tally{Hosts: asked(c), Meeting: c.Pass, Failing: c.Fail, Unknown: c.Unknown}
}

// Bar shows the standing as segments, without what is waived.
func (p controlPage) Bar() []segment {
	t := met(p.Standing)
	t.Hosts -= p.Standing.Waived
	return t.Bar()
}

func (s *server) control(ctx context.Context, r *http.Request) (*view, error) {
	county, err := s.chosen(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("control")
	p := &controlPage{Control: s.lookup(id), County: county, Wide: s.person.Role != "", Again: r.URL.Query().Has("after")}
	within, err := s.Reader.ControlCounties(ctx, s.view, id)
	if err != nil {
		return nil, err
	}
	p.Standing = sumOf(within, county)
	if _, p.Known = s.controls[id]; !p.Known && asked(p.Standing)+p.Standing.NotApplicable == 0 {
		return nil, fmt.Errorf("control: %w", fs.ErrNotExist)
	}
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	v := &view{Title: shown(p.Title, 120), Trail: s.trail(county), Here: shown(id, 64), Page: p}
	for _, c := range counties {
		if county == "" || c.County == county {
			v.Demo.county(c)
			p.Silent += c.Stale
		}
	}
	if county != "" {
		err = s.placed(ctx, p, r.URL.Query().Get("after"))
	} else {
		err = s.places(ctx, p, within)
	}
	if err != nil || p.Again {
		return v, err
	}
	for _, days := range []int{7, 30} {
		was, err := s.standsAt(ctx, s.before(days), county, id)
		if err != nil {
			return nil, err
		}
		if n := asked(was); n > 0 {
			p.Then = append(p.Then, earlier{days, was.Fail, n})
		}
	}
	p.Requirements, p.Checks = requirements(p.Control), s.checks(p.Control)
	p.vouched, err = s.vouchedFor(ctx, p.Control, county)
	return v, err
}

// standsAt is how a control stands in a county, or with "" in the state, at an instant.
func (s *server) standsAt(ctx context.Context, v muster.View, county muster.County, id string) (muster.ControlStanding, error) {
	counties, err := s.Reader.ControlCounties(ctx, v, id)
	sum := sumOf(counties, county)
	sum.Control = id
	return sum, err
}

// sumOf a control's counts, of a county or with "" of all.
func sumOf(counties []muster.CountyControl, county muster.County) (sum muster.ControlStanding) {
	for _, c := range counties {
		if county == "" || c.County == county {
			sum.Add(c.ControlStanding)
		}
	}
	return sum
}

// places are the counties where the control is not met, the one with most fails first,
// and the map of all. The first of them name hosts.
func (s *server) places(ctx context.Context, p *controlPage, counties []muster.CountyControl) error {
	var rows []countyRow
	for _, c := range counties {
		row := countyRow{County: c.County, tally: met(c.ControlStanding)}
		rows = append(rows, row)
		if n := c.Fail + c.Unknown + c.Waived; n > 0 {
			p.Places = append(p.Places, place{countyRow: row, Href: s.controlIn(p.ID, c.County, ""), Waived: c.Waived, Hosts: cohort{All: n}})
		}
	}
	slices.SortFunc(p.Places, func(a, b place) int {
		return cmp.Or(cmp.Compare(b.Failing, a.Failing), cmp.Compare(b.Unknown, a.Unknown), cmp.Compare(b.Waived, a.Waived),
			cmp.Compare(a.share(), b.share()), cmp.Compare(countyName(a.County), countyName(b.County)))
	})
	if len(p.Places) > countiesNamed {
		p.Places, p.Others = p.Places[:countiesNamed], p.Places[countiesNamed:]
		p.Unlisted = max(0, len(p.Others)-countiesListed)
		p.Others = p.Others[:len(p.Others)-p.Unlisted]
	}
	if len(rows) > 0 {
		p.Map = s.draw(rows, s.passing(p.ID))
	}
	return atOnce(len(p.Places), func(i int) error {
		at := &p.Places[i]
		page, err := s.Reader.Hosts(ctx, s.view, muster.HostQuery{County: at.County, Control: p.ID, Limit: hostsRead})
		for _, h := range s.unmet(page.Hosts) {
			if !h.Stale {
				at.Hosts.Known = append(at.Hosts.Known, h.HostStanding)
			}
		}
		return err
	})
}

// passing is what the map of a control shows.
func (s *server) passing(control string) atlasWords {
	return atlasWords{"the share of computers on which it passes",
		[7]string{"passes on all", "75 to 99%", "50 to 74%", "25 to 49%", "under 25%", "mostly not checked", "not asked"},
		func(t tally) string {
			says := "not asked"
			if t.Hosts > 0 {
				says = "passes on " + number(t.Meeting) + " of " + count(t.Hosts, "computer")
			}
			if t.Failing > 0 {
				says += ", fails on " + number(t.Failing)
			}
			if t.Unknown > 0 {
				says += ", " + number(t.Unknown) + " not checked"
			}
			return says
		},
		func(c muster.County) string { return s.controlIn(control, c, "") }}
}

// controlIn is the address of a control in a county, or of its hosts after a page.
func (s *server) controlIn(control string, c muster.County, after string) string {
	q := url.Values{"county": {string(c)}}
	if after != "" {
		q.Set("after", after)
	}
	return "/controls/" + url.PathEscape(control) + "?" + q.Encode() + strings.Replace(suffix(s.view), "?", "&", 1)
}

// placed are hosts of the county on which the control is not met, a page of them.
func (s *server) placed(ctx context.Context, p *controlPage, after string) error {
	page, err := s.Reader.Hosts(ctx, s.view, muster.HostQuery{County: p.County, Control: p.ID, After: after, Limit: hostsOnPage})
	if err != nil {
		return err
	}
	p.Hosts = s.unmet(page.Hosts)
	if page.Next != "" {
		p.Next = s.controlIn(p.ID, p.County, page.Next) + "#where"
	}
	return nil
}

// unmet are hosts with their findings, those that fail first and stale ones last;
// replaced ones are left out.
func (s *server) unmet(hosts []muster.HostStanding) (list []placedHost) {
	for _, h := range hosts {
		if h.ReplacedBy == "" {
			list = append(list, placedHost{h, markOf(h.Finding.Status, h.Finding.Waiver), moment{h.Finding.Since, s.Now()}, moment{h.LastSeen, s.Now()}})
		}
	}
	late := func(h placedHost) int {
		if h.Stale {
			return 1
		}
		return 0
	}
	slices.SortFunc(list, func(a, b placedHost) int {
		return cmp.Or(cmp.Compare(late(a), late(b)), cmp.Compare(a.Mark.Mark, b.Mark.Mark), cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.ID, b.ID))
	})
	return list
}

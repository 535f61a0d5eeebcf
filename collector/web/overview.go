package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/passmuster/muster"
)

// How much the overview shows of what may be long.
const (
	weakestCounties = 12
	topControls     = 8
	worseShown      = 8
	betterShown     = 4
	quietShown      = 5
	waitingShown    = 5
)

// tally counts hosts by standing; Hosts is their sum.
type tally struct{ Hosts, Meeting, Failing, Unknown, Stale, Pending, Missing int }

func tallyOf(c muster.CountyStanding) tally {
	return tally{c.Hosts, c.Meeting, c.Failing, c.Unknown, c.Stale, c.Pending, c.Missing}
}

// Meets is the verb for it: "1 of 9 computers meets", "7 of 9 computers meet".
func (t tally) Meets() string {
	if t.Meeting == 1 || t.Hosts == 1 {
		return "meets"
	}
	return "meet"
}

// share of hosts that meet the baseline, from 0 to 1; no hosts are no weakness.
func (t tally) share() float64 {
	if t.Hosts == 0 {
		return 1
	}
	return float64(t.Meeting) / float64(t.Hosts)
}

// A segment is a part of a bar, in percent of its width.
type segment struct {
	Mark     string
	From, By float64
}

// Bar is the tally as segments, in the order of its legend.
func (t tally) Bar() []segment {
	var bar []segment
	from := 0.0
	for _, p := range []struct {
		mark string
		n    int
	}{{"pass", t.Meeting}, {"fail", t.Failing}, {"unknown", t.Unknown}, {"stale", t.Stale}} {
		if p.n > 0 {
			by := 100 * float64(p.n) / float64(t.Hosts)
			bar = append(bar, segment{p.mark, from, by})
			from += by
		}
	}
	return bar
}

type countyRow struct {
	County muster.County
	Demo   bool
	tally
}

type controlRow struct {
	muster.Control
	Fail, Asked, Counties int
}

// Bar is the share of the hosts asked that fail.
func (c controlRow) Bar() []segment {
	if c.Asked == 0 {
		return nil
	}
	return []segment{{"fail", 0, 100 * float64(c.Fail) / float64(c.Asked)}}
}

type overviewPage struct {
	tally
	Map             *stateMap // nil where there is none of the state
	Weakest, Others []countyRow
	Controls        []controlRow
	MoreControls    int
	Since           since
	Spread          []spread
	MoreSpread      int
	Policy          *rollout // the newest; nil where there is none, and in the past
	Trend           *trend
	Worse, Better   []change
	Quiet           []silence
	Waiting         []silence // the first of Pending
}

// First are the weakest counties of all, where some hosts do not meet the baseline.
func (p *overviewPage) First() []countyRow {
	first := p.Weakest[:min(len(p.Weakest), 3)]
	return slices.DeleteFunc(slices.Clone(first), func(c countyRow) bool { return c.share() == 1 })
}

// A silence is a host and since when it has said nothing, or waits.
type silence struct {
	muster.HostStanding
	Since moment
}

func (s *server) overview(ctx context.Context, r *http.Request) (*view, error) {
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	controls, err := s.Reader.Controls(ctx, s.view, "")
	if err != nil {
		return nil, err
	}
	p := &overviewPage{}
	v := &view{Title: "Overview", Page: p}
	p.counties(counties, v)
	p.Map = s.draw(append(slices.Clone(p.Weakest), p.Others...), s.baseline())
	p.controls(s, controls)
	transitions, err := s.Reader.Changes(ctx, s.view, "", changesRead)
	if err != nil {
		return nil, err
	}
	list, err := s.tell(ctx, transitions, counties)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if c.Worse() && len(p.Worse) < worseShown {
			p.Worse = append(p.Worse, c)
		} else if !c.Worse() && len(p.Better) < betterShown {
			p.Better = append(p.Better, c)
		}
	}
	if err := s.compare(ctx, r.URL.Query().Get("since"), p, counties, controls, transitions); err != nil {
		return nil, err
	}
	if p.Trend, err = s.trend(ctx, ""); err != nil {
		return nil, err
	}
	quiet, err := s.Reader.Quiet(ctx, s.view, "", quietShown)
	if err != nil {
		return nil, err
	}
	for _, h := range quiet {
		p.Quiet = append(p.Quiet, silence{h, moment{h.LastSeen, s.Now()}})
	}
	if !s.view.Now() { // who waited once, and what is rolled out now, is of no use there
		return v, nil
	}
	if p.Policy, err = s.newest(ctx); err != nil {
		return nil, err
	}
	pending, err := s.Reader.PendingPage(ctx, "", "", waitingShown)
	for _, h := range pending {
		p.Waiting = append(p.Waiting, silence{h, moment{h.FirstSeen, s.Now()}})
	}
	return v, err
}

// counties sums them up, the weakest first.
func (p *overviewPage) counties(list []muster.CountyStanding, v *view) {
	var all muster.CountyStanding
	for _, c := range list {
		all.Add(c)
		v.Demo.county(c)
		p.Weakest = append(p.Weakest, countyRow{c.County, c.Invented > 0, tallyOf(c)})
	}
	p.tally = tallyOf(all)
	slices.SortFunc(p.Weakest, func(a, b countyRow) int {
		return cmp.Or(cmp.Compare(a.share(), b.share()), cmp.Compare(b.Hosts-b.Meeting, a.Hosts-a.Meeting),
			cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(countyName(a.County), countyName(b.County)))
	})
	if len(p.Weakest) > weakestCounties {
		p.Weakest, p.Others = p.Weakest[:weakestCounties], p.Weakest[weakestCounties:]
	}
}

// controls chooses those that most hosts fail.
func (p *overviewPage) controls(s *server, list []muster.ControlStanding) {
	for _, c := range list {
		if c.Fail > 0 {
			asked := c.Pass + c.Fail + c.Unknown + c.Waived
			p.Controls = append(p.Controls, controlRow{s.lookup(c.Control), c.Fail, asked, c.FailCounties})
		}
	}
	slices.SortFunc(p.Controls, func(a, b controlRow) int {
		return cmp.Or(cmp.Compare(b.Fail, a.Fail), cmp.Compare(b.Counties, a.Counties),
			cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.ID, b.ID))
	})
	if len(p.Controls) > topControls {
		p.MoreControls = len(p.Controls) - topControls
		p.Controls = p.Controls[:topControls]
	}
}

package web

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"

	"github.com/passmuster/muster"
)

// How much the overview shows of what may be long.
const (
	weakestCounties = 12
	topControls     = 8
	changesRead     = 100
	worseShown      = 8
	betterShown     = 4
	quietShown      = 8
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

// A change is one control going the same way on hosts of one county, as one
// line: a new policy moves many hosts at once.
type change struct {
	Control muster.Control
	County  muster.County
	To      mark
	Hosts   crowd
	At      moment
}

type overviewPage struct {
	tally
	Weakest, Others []countyRow
	Controls        []controlRow
	MoreControls    int
	Worse, Better   []change
	Quiet           []silence
	Waiting         []silence
}

// A silence is a host and since when it has said nothing, or waits.
type silence struct {
	muster.HostStanding
	Since moment
}

func (s *server) overview(ctx context.Context, _ *http.Request) (*view, error) {
	counties, err := s.Reader.Counties(ctx, s.view)
	if err != nil {
		return nil, err
	}
	controls, err := s.Reader.Controls(ctx, s.view, "")
	if err != nil {
		return nil, err
	}
	quiet, err := s.Reader.Quiet(ctx, s.view, "", quietShown)
	if err != nil {
		return nil, err
	}
	var pending []muster.HostStanding
	if s.view.Now() { // who waited once is of no use to anyone
		if pending, err = s.Reader.Pending(ctx, ""); err != nil {
			return nil, err
		}
	}
	p := &overviewPage{}
	if p.Worse, p.Better, err = s.changes(ctx); err != nil {
		return nil, err
	}
	v := &view{Title: "Overview", Page: p}
	var all muster.CountyStanding
	for _, c := range counties {
		row := countyRow{c.County, c.Invented > 0, tallyOf(c)}
		all.Add(c)
		v.Demo.county(c)
		p.Weakest = append(p.Weakest, row)
	}
	p.tally = tallyOf(all)
	slices.SortFunc(p.Weakest, func(a, b countyRow) int {
		return cmp.Or(cmp.Compare(a.share(), b.share()), cmp.Compare(b.Hosts-b.Meeting, a.Hosts-a.Meeting),
			cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(countyName(a.County), countyName(b.County)))
	})
	if len(p.Weakest) > weakestCounties {
		p.Weakest, p.Others = p.Weakest[:weakestCounties], p.Weakest[weakestCounties:]
	}
	for _, c := range controls {
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
	for _, h := range quiet {
		p.Quiet = append(p.Quiet, silence{h, moment{h.LastSeen, s.Now()}})
	}
	for _, h := range pending {
		p.Waiting = append(p.Waiting, silence{h, moment{h.FirstSeen, s.Now()}})
	}
	return v, nil
}

// changes reads the newest transitions and joins those that tell one story.
func (s *server) changes(ctx context.Context) (worse, better []change, err error) {
	transitions, err := s.Reader.Changes(ctx, s.view, "", changesRead)
	if err != nil {
		return nil, nil, err
	}
	type story struct {
		control string
		county  muster.County
		to      muster.Status
	}
	var stories []story
	told := map[story]*change{}
	hosts := map[muster.HostID]muster.HostStanding{}
	for _, t := range transitions {
		if t.To == muster.StatusNotApplicable || t.From == muster.StatusNotApplicable {
			continue // a change of what is asked, not of how well it is met
		}
		h, ok := hosts[t.Host]
		if !ok {
			if h, err = s.Reader.Host(ctx, s.view, t.Host); errors.Is(err, fs.ErrNotExist) {
				continue // removed since
			} else if err != nil {
				return nil, nil, err
			}
			hosts[t.Host] = h
		}
		key := story{t.Control, h.County, t.To}
		c, ok := told[key]
		if !ok {
			c = &change{Control: s.lookup(t.Control), County: h.County, To: markOf(t.To, ""), At: moment{t.ReceivedAt, s.Now()}}
			told[key] = c
			stories = append(stories, key)
		}
		if !slices.ContainsFunc(c.Hosts, func(o muster.HostStanding) bool { return o.ID == h.ID }) {
			c.Hosts = append(c.Hosts, h)
		}
	}
	for _, key := range stories {
		if key.to == muster.StatusPass {
			better = append(better, *told[key])
		} else {
			worse = append(worse, *told[key])
		}
	}
	return worse[:min(len(worse), worseShown)], better[:min(len(better), betterShown)], nil
}

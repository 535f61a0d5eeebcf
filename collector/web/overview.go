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
	restShown       = 254 // of anything, on demand: as many as the largest state has counties
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

// few are the first of a list, of which the rest is there on demand, but for More.
type few[T any] struct {
	First, Rest []T
	More        int
}

func fewOf[T any](all []T, first int) (f few[T]) {
	f.First = all[:min(len(all), first)]
	f.Rest = all[len(f.First):min(len(all), first+restShown)]
	f.More = len(all) - len(f.First) - len(f.Rest)
	return f
}

// Behind are those that are not the first; All are all.
func (f few[T]) Behind() int { return len(f.Rest) + f.More }
func (f few[T]) All() int    { return len(f.First) + f.Behind() }

type overviewPage struct {
	tally
	CountedAt     string    // the day as of whose end it counts; "" for the view's instant
	Map           *stateMap // nil where there is none of the state
	Weakest       few[countyRow]
	Weak          int // counties where not every host meets the baseline
	By            string
	Controls      few[controlRow]
	Since         since
	Spread        few[spread]
	Compared      bool        // there is a day before to tell of what spread
	Policy        *releaseRow // nil where there is none, and in the past
	Trend         *trend
	Worse, Better []change
	Quiet         []silence
	Waiting       []silence // the first of Pending
}

// byCounties orders controls by the counties in which they fail.
const byCounties = "counties"

// First are the weakest counties of all, where some hosts do not meet the baseline.
func (p *overviewPage) First() []countyRow { return p.Weakest.First[:min(p.Weak, 3)] }

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
	controls, err := s.Reader.ControlCounties(ctx, s.view, "")
	if err != nil {
		return nil, err
	}
	p := &overviewPage{CountedAt: s.countedAt()}
	v := &view{Title: "Overview", Page: p}
	p.Map = s.draw(p.counties(counties, v), s.baseline())
	if r.URL.Query().Get("by") == byCounties {
		p.By = byCounties
	}
	totals := sums(controls)
	p.controls(s, totals)
	parts := []func() error{
		func() error { return s.compare(ctx, r.URL.Query().Get("since"), p, counties, controls, totals) },
		func() error { return s.moved(ctx, p, counties) },
		func() (err error) { p.Trend, err = s.trend(ctx, ""); return err },
		func() error {
			quiet, err := s.Reader.Quiet(ctx, s.view, "", quietShown)
			for _, h := range quiet {
				p.Quiet = append(p.Quiet, silence{h, moment{s.lastHeard(h), s.Now()}})
			}
			return err
		},
	}
	if s.view.Now() { // who waited once, and what is rolled out now, is of no use in the past
		parts = append(parts,
			func() (err error) { p.Policy, err = s.leading(ctx); return err },
			func() error {
				pending, err := s.Reader.PendingPage(ctx, "", "", waitingShown)
				for _, h := range pending {
					if h.Waits == muster.WaitsNew {
						h.Waits = "" // the heading says that
					}
					p.Waiting = append(p.Waiting, silence{h, moment{h.FirstSeen, s.Now()}})
				}
				return err
			})
	}
	return v, atOnce(len(parts), func(i int) error { return parts[i]() })
}

// moved tells the newest changes for the worse and for the better.
func (s *server) moved(ctx context.Context, p *overviewPage, counties []muster.CountyStanding) error {
	transitions, err := s.Reader.Changes(ctx, s.view, "", changesRead)
	if err != nil {
		return err
	}
	list, err := s.tell(ctx, transitions, counties)
	for _, c := range list {
		if c.Worse() && len(p.Worse) < worseShown {
			p.Worse = append(p.Worse, c)
		} else if !c.Worse() && len(p.Better) < betterShown {
			p.Better = append(p.Better, c)
		}
	}
	return err
}

// counties sums them up and gives their rows, the weakest first.
func (p *overviewPage) counties(list []muster.CountyStanding, v *view) (rows []countyRow) {
	var all muster.CountyStanding
	for _, c := range list {
		all.Add(c)
		v.Demo.county(c)
		row := countyRow{c.County, c.Invented > 0, tallyOf(c)}
		if rows = append(rows, row); row.share() < 1 {
			p.Weak++
		}
	}
	p.tally = tallyOf(all)
	slices.SortFunc(rows, func(a, b countyRow) int {
		return cmp.Or(cmp.Compare(a.share(), b.share()), cmp.Compare(b.Hosts-b.Meeting, a.Hosts-a.Meeting),
			cmp.Compare(b.Hosts, a.Hosts), cmp.Compare(a.County, b.County))
	})
	p.Weakest = fewOf(rows, weakestCounties)
	return rows
}

// sums are the counts of controls over all counties.
func sums(list []muster.CountyControl) (all []muster.ControlStanding) {
	at := map[string]int{}
	for _, c := range list {
		i, ok := at[c.Control]
		if !ok {
			i, at[c.Control] = len(all), len(all)
			all = append(all, muster.ControlStanding{Control: c.Control})
		}
		all[i].Add(c.ControlStanding)
	}
	return all
}

// controls orders those that fail by how many hosts, or in how many counties.
func (p *overviewPage) controls(s *server, list []muster.ControlStanding) {
	var rows []controlRow
	for _, c := range list {
		if c.Fail > 0 {
			rows = append(rows, controlRow{s.lookup(c.Control), c.Fail, asked(c), c.FailCounties})
		}
	}
	slices.SortFunc(rows, func(a, b controlRow) int {
		first := 0
		if p.By == byCounties {
			first = cmp.Compare(b.Counties, a.Counties)
		}
		return cmp.Or(first, cmp.Compare(b.Fail, a.Fail), cmp.Compare(b.Counties, a.Counties),
			cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.ID, b.ID))
	})
	p.Controls = fewOf(rows, topControls)
}

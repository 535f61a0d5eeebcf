package web

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// How much the overview shows of what got worse.
const (
	worseControls = 6
	worseCounties = 6
)

// since is what got worse since an instant.
type since struct {
	Week     bool // a week before rather than a day
	Past     bool // before an instant of the past
	Then     moment
	Now, Was tally // the state; without hosts then there is nothing to compare with
	Controls few[worseControl]
	Counties few[worseCounty]
}

// Day is the word for the instant, and Other for the one that it can be instead.
func (w since) Day() string   { return dayBefore(w.Week, w.Past) }
func (w since) Other() string { return dayBefore(!w.Week, w.Past) }

func dayBefore(week, past bool) string {
	switch {
	case week && past:
		return "the week before"
	case week:
		return "last week"
	case past:
		return "the day before"
	}
	return "yesterday"
}

// Silent says how many more hosts are silent, "" where there is nothing to say.
func (w since) Silent() string {
	switch d := w.Now.Stale - w.Was.Stale; {
	case w.Was.Hosts == 0:
		return ""
	case d > 0:
		return number(d) + " more than " + w.Day()
	case d < 0:
		return number(-d) + " fewer than " + w.Day()
	}
	return "as many as " + w.Day()
}

// worseControl fails on more hosts than before.
type worseControl struct {
	muster.Control
	Fail, Was             int
	Counties, WasCounties int
}

// worseCounty has a smaller share of hosts that meet the baseline than before.
type worseCounty struct {
	countyRow
	Was tally
}

// before is the view of so many days before. It ends with a quarter of a UTC day, of
// which a store keeps the counts, or in hindsight with a day.
func (s *server) before(days int) muster.View {
	at, kept := s.Now().UTC().AddDate(0, 0, -days).Add(time.Microsecond), 6*time.Hour
	if s.view.Known == muster.KnownNow {
		kept = 24 * time.Hour
	}
	return muster.View{At: at.Truncate(kept).Add(-time.Microsecond), Known: s.view.Known}
}

// countedAt is the day as of whose end counts are in hindsight; "" where that is the view's
// instant.
func (s *server) countedAt() string {
	at := s.view.At.Add(time.Microsecond)
	day := at.Truncate(24 * time.Hour)
	if s.view.Known != muster.KnownNow || day.Equal(at) {
		return ""
	}
	return day.AddDate(0, 0, -1).Format("2 January 2006")
}

// lastHeard is when a host's newest report came, or in hindsight when it was made.
func (s *server) lastHeard(h muster.HostStanding) time.Time {
	if s.view.Known == muster.KnownNow && h.CollectedAt.Before(h.LastSeen) {
		return h.CollectedAt
	}
	return h.LastSeen
}

// compare tells what is worse than a day before, or a week, and what spread in a day.
func (s *server) compare(ctx context.Context, name string, p *overviewPage, counties []muster.CountyStanding,
	controls []muster.CountyControl, totals []muster.ControlStanding) error {
	then := s.before(1)
	dayBefore, err := s.Reader.ControlCounties(ctx, then, "")
	if err != nil {
		return err
	}
	was := sums(dayBefore)
	if p.Since.Week = name == "week"; p.Since.Week {
		then = s.before(7)
		if was, err = s.Reader.Controls(ctx, then, ""); err != nil {
			return err
		}
	}
	wasCounties, err := s.Reader.Counties(ctx, then)
	if err != nil {
		return err
	}
	p.Since.Past, p.Since.Now = !s.view.Now(), p.tally
	p.Since.Then = moment{then.At.Add(time.Microsecond), s.Now()}
	p.Since.counties(counties, wasCounties)
	if p.Since.Was.Hosts > 0 {
		p.Since.controls(s, totals, byControlID(was))
	}
	p.Compared = len(dayBefore) > 0
	p.spread(s, controls, dayBefore)
	return nil
}

func byControlID(list []muster.ControlStanding) map[string]muster.ControlStanding {
	m := make(map[string]muster.ControlStanding, len(list))
	for _, c := range list {
		m[c.Control] = c
	}
	return m
}

func (w *since) counties(now, then []muster.CountyStanding) {
	was := make(map[muster.County]tally, len(then))
	var all muster.CountyStanding
	for _, c := range then {
		was[c.County] = tallyOf(c)
		all.Add(c)
	}
	w.Was = tallyOf(all)
	var rows []worseCounty
	for _, c := range now {
		row := worseCounty{countyRow{c.County, c.Invented > 0, tallyOf(c)}, was[c.County]}
		if row.Was.Hosts > 0 && row.Hosts > 0 && row.share() < row.Was.share() {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b worseCounty) int {
		return cmp.Or(cmp.Compare(b.Was.share()-b.share(), a.Was.share()-a.share()), cmp.Compare(a.County, b.County))
	})
	w.Counties = fewOf(rows, worseCounties)
}

func (w *since) controls(s *server, now []muster.ControlStanding, was map[string]muster.ControlStanding) {
	var rows []worseControl
	for _, c := range now {
		if then := was[c.Control]; c.Fail > then.Fail {
			rows = append(rows, worseControl{s.lookup(c.Control), c.Fail, then.Fail, c.FailCounties, then.FailCounties})
		}
	}
	slices.SortFunc(rows, func(a, b worseControl) int {
		return cmp.Or(cmp.Compare(b.Fail-b.Was, a.Fail-a.Was), cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.ID, b.ID))
	})
	w.Controls = fewOf(rows, worseControls)
}

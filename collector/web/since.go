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
	spreadShown   = 3
)

// spreadCounties is in how many counties more a control must fail than the day before,
// or by how many it must fail anew, to be told of.
const spreadCounties = 2

// since is what got worse since an instant.
type since struct {
	Week         bool // a week before rather than a day
	Then         moment
	Now, Was     tally // the state; without hosts then there is nothing to compare with
	Controls     []worseControl
	MoreControls int
	Counties     []worseCounty
	MoreCounties int
}

// AllControls and AllCounties that got worse, and not only those that are shown.
func (w since) AllControls() int { return len(w.Controls) + w.MoreControls }
func (w since) AllCounties() int { return len(w.Counties) + w.MoreCounties }

// Silent says how many more hosts are silent, "" where there is nothing to say.
func (w since) Silent() string {
	day := "yesterday"
	if w.Week {
		day = "last week"
	}
	switch d := w.Now.Stale - w.Was.Stale; {
	case w.Was.Hosts == 0:
		return ""
	case d > 0:
		return number(d) + " more than " + day
	case d < 0:
		return number(-d) + " fewer than " + day
	}
	return "as many as " + day
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

// spread is a control that came to fail in several counties within a day.
type spread struct {
	muster.Control
	Counties int // that have a host failing it
	More     int // than the day before
	Newly    int // that have a host failing it which passed or was not known before
}

// before is the view of so many days before. It ends with a quarter of a UTC day, of
// which a store keeps the counts.
func (s *server) before(days int) muster.View {
	at := s.Now().UTC().AddDate(0, 0, -days).Add(time.Microsecond)
	return muster.View{At: at.Truncate(6 * time.Hour).Add(-time.Microsecond), Known: s.view.Known}
}

// compare tells what is worse than a day before, or a week, and what spread in a day.
func (s *server) compare(ctx context.Context, name string, p *overviewPage, counties []muster.CountyStanding,
	controls []muster.ControlStanding, transitions []muster.Transition) error {
	day := s.before(1)
	dayBefore, err := s.Reader.Controls(ctx, day, "")
	if err != nil {
		return err
	}
	then, was := day, dayBefore
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
	p.Since.Now = p.tally
	p.Since.Then = moment{then.At.Add(time.Microsecond), s.Now()}
	p.Since.counties(counties, wasCounties)
	if p.Since.Was.Hosts > 0 {
		p.Since.controls(s, controls, byControlID(was))
	}
	p.spread(s, controls, byControlID(dayBefore), transitions, day.At)
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
	for _, c := range now {
		row := worseCounty{countyRow{c.County, c.Invented > 0, tallyOf(c)}, was[c.County]}
		if row.Was.Hosts > 0 && row.Hosts > 0 && row.share() < row.Was.share() {
			w.Counties = append(w.Counties, row)
		}
	}
	slices.SortFunc(w.Counties, func(a, b worseCounty) int {
		return cmp.Or(cmp.Compare(b.Was.share()-b.share(), a.Was.share()-a.share()), cmp.Compare(a.County, b.County))
	})
	w.MoreCounties = max(0, len(w.Counties)-worseCounties)
	w.Counties = w.Counties[:len(w.Counties)-w.MoreCounties]
}

func (w *since) controls(s *server, now []muster.ControlStanding, was map[string]muster.ControlStanding) {
	for _, c := range now {
		if then := was[c.Control]; c.Fail > then.Fail {
			w.Controls = append(w.Controls, worseControl{s.lookup(c.Control), c.Fail, then.Fail, c.FailCounties, then.FailCounties})
		}
	}
	slices.SortFunc(w.Controls, func(a, b worseControl) int {
		return cmp.Or(cmp.Compare(b.Fail-b.Was, a.Fail-a.Was), cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.ID, b.ID))
	})
	w.MoreControls = max(0, len(w.Controls)-worseControls)
	w.Controls = w.Controls[:len(w.Controls)-w.MoreControls]
}

// spread finds the controls that came to fail in several counties.
func (p *overviewPage) spread(s *server, now []muster.ControlStanding, was map[string]muster.ControlStanding, transitions []muster.Transition, after time.Time) {
	newly := map[string]map[muster.County]bool{}
	for _, t := range transitions {
		if t.To != muster.StatusFail || t.From == muster.StatusNotApplicable || !t.ReceivedAt.After(after) {
			continue
		}
		if newly[t.Control] == nil {
			newly[t.Control] = map[muster.County]bool{}
		}
		newly[t.Control][t.County] = true
	}
	for _, c := range now {
		one := spread{Control: s.lookup(c.Control), Counties: c.FailCounties, Newly: len(newly[c.Control])}
		if then, ok := was[c.Control]; ok {
			one.More = c.FailCounties - then.FailCounties
		}
		if c.Fail > 0 && max(one.More, one.Newly) >= spreadCounties {
			p.Spread = append(p.Spread, one)
		}
	}
	slices.SortFunc(p.Spread, func(a, b spread) int {
		return cmp.Or(cmp.Compare(max(b.More, b.Newly), max(a.More, a.Newly)), cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.ID, b.ID))
	})
	p.MoreSpread = max(0, len(p.Spread)-spreadShown)
	p.Spread = p.Spread[:len(p.Spread)-p.MoreSpread]
}

// rollout is how far the newest release is, and what it did where it is.
type rollout struct {
	muster.Release
	Offered, Running int // active hosts of the rings that it reaches, and those of them that run it
	Compared, Worse  int
}

// newest release's rollout; nil where none was published.
func (s *server) newest(ctx context.Context) (*rollout, error) {
	releases, err := s.Reader.Releases(ctx)
	if err != nil || len(releases) == 0 {
		return nil, err
	}
	use, err := s.Reader.PolicyUse(ctx)
	if err != nil {
		return nil, err
	}
	p := &rollout{Release: releases[0]}
	for _, u := range use {
		if !p.Ring.Reaches(u.Ring) {
			continue
		}
		p.Offered += u.Hosts
		if u.Policy == p.Policy {
			p.Running += u.Hosts
		}
	}
	if p.Running == 0 {
		return p, nil
	}
	effect, err := s.Reader.PolicyEffect(ctx, p.Policy)
	p.Compared = effect.Compared
	for _, c := range effect.Changes {
		if !c.New && c.Was == muster.StatusPass && c.Became != muster.StatusNotApplicable {
			p.Worse += c.Hosts
		}
	}
	return p, err
}

package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/passmuster/muster"
)

// How much a scorecard says of what may be long: it is one page of paper.
const (
	scoreTasks    = 5
	scoreAdvice   = 2 // of each task to do first, and one of the others
	scoreHosts    = 4 // of a task, and of a standing
	scoreWaived   = 3
	scoreContacts = 3
)

// A scorecard is what a county puts on its wall: how it stands on a day, on one page.
type scorecard struct {
	*countyTold
	Day    moment
	Do     []scoreTask
	More   int // tasks that are left out
	Groups []group
}

// A scoreTask says of a task what fits.
type scoreTask struct {
	task
	Advice []advice
	More   int // of its controls, those whose advice is left out
}

// Named are the hosts that fit; Unnamed is how many do not.
func (t scoreTask) Named() []muster.HostStanding {
	return t.Hosts.Known[:min(len(t.Hosts.Known), scoreHosts)]
}
func (t scoreTask) Unnamed() int { return t.Hosts.All - len(t.Named()) }

// A group is the hosts of one standing.
type group struct {
	Standing standing
	Named    []muster.HostStanding // the first of them
	All      int
}

// Unnamed is how many are not named.
func (g group) Unnamed() int { return g.All - len(g.Named) }

// Exempt are the waived controls that fit, and Call the contacts.
func (p scorecard) Exempt() []excused { return p.Waived[:min(len(p.Waived), scoreWaived)] }
func (p scorecard) Call() []contact   { return p.Contacts[:min(len(p.Contacts), scoreContacts)] }

// Cut: something of what is to be done is left out.
func (p scorecard) Cut() bool {
	return p.More > 0 || slices.ContainsFunc(p.Do, func(t scoreTask) bool { return t.More > 0 })
}

// Unexempt counts the waived controls that do not fit.
func (p scorecard) Unexempt() int { return len(p.Waived) - len(p.Exempt()) }

func (s *server) scorecard(ctx context.Context, r *http.Request) (*view, error) {
	county, err := countyOf(r)
	if err != nil {
		return nil, err
	}
	t, err := s.countyTold(ctx, muster.HostQuery{County: county, Limit: rowsShown})
	if err != nil {
		return nil, err
	}
	p := &scorecard{countyTold: t, Day: moment{s.Now(), s.Now()}}
	todo := slices.Concat(t.First, t.Next)
	p.More = max(0, len(todo)-scoreTasks)
	for i, one := range todo[:len(todo)-p.More] {
		room := scoreAdvice
		if i >= fixFirst {
			room = 1
		}
		p.Do = append(p.Do, scored(one, room))
	}
	for _, g := range []group{{Standing: standsFailing, All: t.Failing}, {Standing: standsUnknown, All: t.Unknown},
		{Standing: standsStale, All: t.Stale}, {Standing: standsMeeting, All: t.Meeting}} {
		for _, row := range t.Rows {
			if row.Standing == g.Standing && len(g.Named) < min(scoreHosts, g.All) {
				g.Named = append(g.Named, row.HostStanding)
			}
		}
		if g.All > 0 {
			p.Groups = append(p.Groups, g)
		}
	}
	return &view{Title: "Scorecard of " + countyName(county), Trail: s.trail(county), Here: "Scorecard", Demo: t.invented, Page: p}, nil
}

// scored takes of a task the first advice, and what else there is room for.
func scored(t task, room int) scoreTask {
	sc := scoreTask{task: t, More: len(t.Fixes)}
	for i, f := range t.Fixes {
		switch {
		case f.Again:
			sc.More--
		case i == 0 || len(sc.Advice)+len(f.Advice) <= room:
			sc.More--
			sc.Advice = append(sc.Advice, f.Advice...)
		}
	}
	return sc
}

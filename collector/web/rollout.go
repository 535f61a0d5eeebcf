package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// effectShown is how many of its effects the page of a release lists.
const effectShown = 100

// releaseRow is a release, how far it came, and what it did there.
type releaseRow struct {
	muster.Release
	At      moment
	Offered int // hosts in the rings that it reaches
	Has     int // those of them that run it
	Running int // all hosts that run it
	Mute    int // those of them that are stale
	Lost    int // stale hosts in the rings that it reaches, which do not run it
	// Live: some ring is offered it, or would be if it was not paused. If not, a higher
	// version goes as far.
	Live     bool
	Next     muster.Ring
	Compared int
	Changes  []policyChange
}

type policyChange struct {
	muster.Control
	muster.PolicyChange
	Before, After mark
}

// Kind sorts what to look at first.
func (c policyChange) Kind() string {
	switch {
	case c.New:
		return "new"
	case c.Was == muster.StatusPass && c.Became != muster.StatusNotApplicable:
		return "worse"
	case c.Became == muster.StatusPass:
		return "better"
	}
	return "other"
}

// leading is the release that people ask about, with what it did: the highest that is on
// its way through the rings, else one that was paused there and still runs, else the
// newest; nil where none was published.
func (s *server) leading(ctx context.Context) (*releaseRow, error) {
	releases, use, _, err := s.rollout(ctx)
	if err != nil || len(releases) == 0 {
		return nil, err
	}
	best, rank := releaseRow{}, 0
	for _, r := range releases {
		row, is := s.row(r, releases, use), 1
		switch {
		case row.Live && !row.Paused && row.Next != "":
			is = 3
		case row.Live && row.Paused && row.Running > 0:
			is = 2
		}
		if is > rank {
			best, rank = row, is
		}
	}
	return &best, s.effect(ctx, &best)
}

// row counts who is offered a release and who runs it.
func (s *server) row(r muster.Release, releases []muster.Release, use []muster.PolicyUse) releaseRow {
	row := releaseRow{Release: r, At: moment{r.Published, s.Now()}, Next: r.Ring.Next()}
	for _, u := range use {
		offered, runs := r.Ring.Reaches(u.Ring), u.Policy == r.Policy
		if offered {
			row.Offered += u.Hosts
		}
		switch {
		case runs && offered:
			row.Has += u.Hosts
			fallthrough
		case runs:
			row.Running += u.Hosts
			row.Mute += u.Stale
		case offered:
			row.Lost += u.Stale
		}
	}
	row.Live = !slices.ContainsFunc(releases, func(higher muster.Release) bool {
		return higher.Version > r.Version && !higher.Paused && higher.Ring.Reaches(r.Ring)
	})
	return row
}

// effect adds what the release changed on the hosts that run it, worse first.
func (s *server) effect(ctx context.Context, row *releaseRow) error {
	if row.Running == 0 {
		return nil
	}
	e, err := s.Reader.PolicyEffect(ctx, row.Policy, s.knows)
	if err != nil {
		return err
	}
	row.Compared = e.Compared
	for _, c := range e.Changes {
		control, inForce := s.controls[c.Control]
		if !inForce {
			control = s.Published[c.Control]
		}
		if control.ID == "" {
			control = s.lookup(c.Control)
		}
		row.Changes = append(row.Changes, policyChange{control, c, markOf(c.Was, ""), markOf(c.Became, "")})
	}
	order := []string{"worse", "new", "other", "better"}
	slices.SortStableFunc(row.Changes, func(a, b policyChange) int {
		return slices.Index(order, a.Kind()) - slices.Index(order, b.Kind())
	})
	return nil
}

// Listed are the first changes, and Unlisted is how many there are beside them.
func (r releaseRow) Listed() []policyChange { return r.Changes[:min(len(r.Changes), effectShown)] }
func (r releaseRow) Unlisted() int          { return len(r.Changes) - len(r.Listed()) }

// Worse counts the verdicts that passed before and do not under the policy.
func (r releaseRow) Worse() (n int) {
	for _, c := range r.Changes {
		if c.Kind() == "worse" {
			n += c.Hosts
		}
	}
	return n
}

// worst names the controls behind that, the most frequent first.
func (r releaseRow) worst() string {
	var names []string
	for _, c := range r.Changes {
		if c.Kind() == "worse" && len(names) < 3 {
			names = append(names, fmt.Sprintf("%s (%s)", shown(c.Title, 80), number(c.PolicyChange.Hosts)))
		}
	}
	return strings.Join(names, ", ") + "."
}

// unmet counts the verdicts of new controls that do not pass.
func (r releaseRow) unmet() (n int) {
	for _, c := range r.Changes {
		if c.New && (c.Became == muster.StatusFail || c.Became == muster.StatusUnknown) {
			n += c.Hosts
		}
	}
	return n
}

// whom are the computers that a release reaches.
func (r releaseRow) whom() string {
	return cmp.Or(map[muster.Ring]string{muster.RingCanary: "canary computer", muster.RingEarly: "canary or early computer"}[r.Ring], "computer")
}

// A judgement is a sentence on whether to go on, and one on what to do.
type judgement struct{ Mark, Says, Way string }

// some is a number of computers with the verb for it.
func some(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return number(n) + " " + many
}

// enough hosts tell of all others. The store compares some of many.
const enough = 500

// Judgement of the release: safe is only what at least half of those who try it have, and
// were heard from with.
func (r releaseRow) Judgement() judgement {
	run := fmt.Sprintf("%s of %s %s it.", number(r.Has), count(r.Offered, r.whom()), map[bool]string{true: "runs", false: "run"}[r.Has == 1])
	if n := r.Running - r.Has; n > 0 {
		run += " " + some(n, "computer elsewhere runs it, too.", "computers elsewhere run it, too.")
	}
	worse := "Nothing that passed before stopped passing under it."
	switch n := r.Worse(); {
	case r.Compared == 0:
		worse = "There is nothing to compare yet."
	case n == 1:
		worse = "1 verdict that passed before does not pass under it."
	case n > 1:
		worse = count(n, "verdict") + " that passed before do not pass under it."
	}
	mute := ""
	if r.Mute > 0 {
		mute = " " + some(r.Mute, "computer that runs it has", "computers that run it have") + " been silent for too long."
	}
	switch {
	case !r.Live:
		j := judgement{"none", "Followed by a higher version.", ""}
		if r.Paused {
			j.Says = "Paused, and followed by a higher version."
		}
		if r.Running > 0 {
			j.Way = some(r.Running, "computer still runs it.", "computers still run it.")
		}
		return j
	case r.Paused && r.Running == 0:
		return judgement{"wait", "Offered to nobody, and no computer runs it.", fmt.Sprintf("Look at what it changes. Then offer it to ring %s.", r.Ring)}
	case r.Paused:
		return judgement{"wait", fmt.Sprintf("Paused in ring %s, and offered to nobody: %s", r.Ring, run), worse + mute + " Computers that have it keep it."}
	case r.Next == "":
		return judgement{"none", "Offered to every computer: " + run, worse + mute}
	case r.Offered == 0:
		rings := map[muster.Ring]string{muster.RingCanary: "canary", muster.RingEarly: "canary or early"}[r.Ring]
		return judgement{"unknown", fmt.Sprintf("Too few to tell: nobody is in ring %s.", rings), "Put a county or some computers there first: under “Who tries it first”."}
	case 2*r.Has < r.Offered:
		return judgement{"unknown", "Too few to tell: " + run, worse + mute + r.missing()}
	case 2*r.Mute >= r.Running:
		return judgement{"unknown", fmt.Sprintf("Cannot tell: %s of %s been silent for too long.", number(r.Mute), some(r.Running, "computer that runs it has", "computers that run it have")),
			worse + " Find out first whether the policy silenced them."}
	case 2*r.Compared < min(r.Running, enough) || r.Compared == 0:
		way := "None of them had a report under another policy before, so there is nothing to compare."
		if r.Compared > 0 {
			way = fmt.Sprintf("Only %s of them had a report under another policy before. %s", number(r.Compared), worse)
		}
		return judgement{"unknown", "Too few to tell: " + run, way + mute}
	case r.Worse() > 0:
		return judgement{"fail", "Not yet: " + worse, fmt.Sprintf("%s Compared on %s of %s.%s Go on only if the new policy is meant to find that.",
			r.worst(), number(min(r.Compared, r.Has)), count(r.Offered, r.whom()), mute)}
	}
	j := judgement{"pass", fmt.Sprintf("Safe to go on: nothing that passed before stopped passing on %s of %s.", number(min(r.Compared, r.Has)), count(r.Offered, r.whom())), strings.TrimSpace(mute)}
	if n := r.unmet(); n > 0 {
		j.Way = fmt.Sprintf("New controls do not pass in %s; nobody was judged by them before.%s", count(n, "case"), mute)
	}
	return j
}

// missing says of those who are offered the release and do not run it what to wait for.
func (r releaseRow) missing() string {
	switch {
	case r.Lost == 0:
		return " Look again after the next audits."
	case r.Lost == r.Offered-r.Has:
		return " All of the others have been silent for too long, so they do not take it."
	}
	return " Of the others " + some(r.Lost, "has", "have") + " been silent for too long. Look again after the next audits."
}

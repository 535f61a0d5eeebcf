package web

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// How much the policies page lists: releases with a verdict, those that are offered to
// nobody any more, and members of rings.
const (
	liveShown    = 8
	earlierShown = 20
	membersShown = 60
)

type policiesPage struct {
	Live    []releaseRow
	Earlier []releaseRow // that no ring is offered
	Older   int64        // the version below which there are more of them; 0 for none
	Newest  bool         // Earlier begins with the newest
	Any     bool         // there is a release
	// Others are policies that hosts run and that were not published here: the
	// baseline that came with muster, or one from a stick.
	Others  []runRow
	Rings   []ringRow
	Members []memberRow
	More    int // members that are not listed
	Waiting int // active hosts without a report yet
}

type runRow struct {
	Revision string
	Hosts    int
}

type ringRow struct {
	Ring  muster.Ring
	Hosts int
	Offer *muster.Release // nil where nothing is offered
	Has   int             // hosts of the ring that run what is offered
}

type memberRow struct {
	muster.RingMember
	Name string
}

func (s *server) policies(ctx context.Context, r *http.Request) (*view, error) {
	before, err := strconv.ParseInt(cmp.Or(r.URL.Query().Get("before"), "0"), 10, 64)
	if err != nil || before < 0 {
		return nil, fs.ErrNotExist
	}
	releases, use, rings, err := s.rollout(ctx)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, muster.View{})
	if err != nil {
		return nil, err
	}
	p := &policiesPage{Rings: rings, Any: len(releases) > 0, Newest: before == 0}
	v := &view{Title: "Policies", Trail: s.trail(""), Here: "Policies", Page: p}
	v.Demo.counties(counties, "")
	for _, r := range releases {
		row := s.row(r, releases, rings, use)
		switch {
		case row.Live && len(p.Live) < liveShown:
			if err := s.effect(ctx, &row); err != nil {
				return nil, err
			}
			p.Live = append(p.Live, row)
		case before > 0 && r.Version >= before || p.Older > 0:
		case len(p.Earlier) == earlierShown:
			p.Older = p.Earlier[earlierShown-1].Version
		default:
			p.Earlier = append(p.Earlier, row)
		}
	}
	for _, u := range use {
		switch {
		case u.Policy == "":
			p.Waiting += u.Hosts
		case !slices.ContainsFunc(releases, func(r muster.Release) bool { return r.Policy == u.Policy }):
			p.other(u)
		}
	}
	p.Members, p.More, err = s.members(ctx)
	return v, err
}

// rollout is what is published, who runs what, and what each ring is offered.
func (s *server) rollout(ctx context.Context) (releases []muster.Release, use []muster.PolicyUse, rings []ringRow, err error) {
	if releases, err = s.Reader.Releases(ctx); err != nil {
		return nil, nil, nil, err
	}
	if use, err = s.Reader.PolicyUse(ctx); err != nil {
		return nil, nil, nil, err
	}
	for _, ring := range muster.Rings {
		rings = append(rings, ringOf(ring, releases, use))
	}
	return releases, use, rings, nil
}

func ringOf(ring muster.Ring, releases []muster.Release, use []muster.PolicyUse) ringRow {
	row := ringRow{Ring: ring}
	if r, ok := muster.Offer(releases, ring, ""); ok {
		row.Offer = &r
	}
	for _, u := range use {
		if u.Ring != ring {
			continue
		}
		row.Hosts += u.Hosts
		if row.Offer != nil && u.Policy == row.Offer.Policy {
			row.Has += u.Hosts
		}
	}
	return row
}

func (p *policiesPage) other(u muster.PolicyUse) {
	for i := range p.Others {
		if p.Others[i].Revision == u.Revision {
			p.Others[i].Hosts += u.Hosts
			return
		}
	}
	p.Others = append(p.Others, runRow{u.Revision, u.Hosts})
}

// members are who is in a ring of their own, the first of them.
func (s *server) members(ctx context.Context) (list []memberRow, more int, err error) {
	all, err := s.Reader.RingMembers(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, m := range all[:min(len(all), membersShown)] {
		name := countyName(m.County)
		if m.Host != "" {
			name = string(m.Host)
			if h, err := s.Reader.Host(ctx, muster.View{}, m.Host); err == nil {
				name = cmp.Or(shown(h.Hostname, 64), name)
			}
		}
		list = append(list, memberRow{m, name})
	}
	return list, len(all) - len(list), nil
}

// releaseRow is a release, how far it came, and what it did there.
type releaseRow struct {
	muster.Release
	At       moment
	Running  int
	Offered  int // hosts in the rings that it reaches
	Compared int
	Changes  []policyChange
	Next     muster.Ring
	Live     bool // some ring is offered it, or could be
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

// row counts who is offered a release and who runs it.
func (s *server) row(r muster.Release, releases []muster.Release, rings []ringRow, use []muster.PolicyUse) releaseRow {
	row := releaseRow{Release: r, At: moment{r.Published, s.Now()}, Next: r.Ring.Next()}
	for _, ring := range rings {
		if r.Ring.Reaches(ring.Ring) {
			row.Offered += ring.Hosts
		}
		row.Live = row.Live || ring.Offer != nil && ring.Offer.Version == r.Version
	}
	for _, u := range use {
		if u.Policy == r.Policy {
			row.Running += u.Hosts
		}
	}
	row.Live = row.Live || r.Paused && (row.Running > 0 || r.Version == releases[0].Version)
	return row
}

// effect adds what the release changed on the hosts that run it, worse first.
func (s *server) effect(ctx context.Context, row *releaseRow) error {
	if row.Running == 0 {
		return nil
	}
	e, err := s.Reader.PolicyEffect(ctx, row.Policy)
	if err != nil {
		return err
	}
	row.Compared = e.Compared
	for _, c := range e.Changes {
		row.Changes = append(row.Changes, policyChange{s.lookup(c.Control), c, markOf(c.Was, ""), markOf(c.Became, "")})
	}
	order := []string{"worse", "new", "other", "better"}
	slices.SortStableFunc(row.Changes, func(a, b policyChange) int {
		return slices.Index(order, a.Kind()) - slices.Index(order, b.Kind())
	})
	return nil
}

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
	return map[muster.Ring]string{muster.RingCanary: "canary computer", muster.RingEarly: "canary or early computer"}[r.Ring]
}

// A judgement is a sentence on whether to go on, and one on what to do.
type judgement struct{ Mark, Says, Way string }

// Judgement of the release: safe is only what at least half of those who try it have.
func (r releaseRow) Judgement() judgement {
	run := fmt.Sprintf("%s of %s", number(r.Running), count(r.Offered, cmp.Or(r.whom(), "computer")))
	run += map[bool]string{true: " runs it.", false: " run it."}[r.Running == 1]
	worse := "Nothing that passed before stopped passing under it."
	switch n := r.Worse(); {
	case r.Compared == 0:
		worse = "There is nothing to compare yet."
	case n == 1:
		worse = "1 verdict that passed before does not pass under it."
	case n > 1:
		worse = count(n, "verdict") + " that passed before do not pass under it."
	}
	switch {
	case r.Paused && r.Running == 0:
		return judgement{"wait", "Offered to nobody yet.", fmt.Sprintf("Look at what it changes. Then offer it to ring %s.", r.Ring)}
	case r.Paused:
		return judgement{"wait", fmt.Sprintf("Paused in ring %s, and offered to nobody: %s", r.Ring, run), worse + " Computers that have it keep it."}
	case !r.Live:
		return judgement{"none", "Followed by a higher version.", ""}
	case r.Next == "":
		return judgement{"none", "Offered to every computer: " + run, worse}
	case r.Offered == 0:
		return judgement{"unknown", fmt.Sprintf("Too few to tell: nobody is in ring %s.", r.Ring), "Put a county or some computers there first: under “Who tries it first”."}
	case r.Compared == 0 || 2*r.Running < r.Offered:
		return judgement{"unknown", "Too few to tell: " + run, worse + " Look again after the next audits."}
	case r.Worse() > 0:
		return judgement{"fail", "Not yet: " + worse, fmt.Sprintf("%s Compared on %s of %s. Go on only if the new policy is meant to find that.",
			r.worst(), number(r.Compared), count(r.Offered, r.whom()))}
	}
	j := judgement{"pass", fmt.Sprintf("Safe to go on: nothing that passed before stopped passing on %s of %s.", number(r.Compared), count(r.Offered, r.whom())), ""}
	if n := r.unmet(); n > 0 {
		j.Way = fmt.Sprintf("New controls do not pass in %s; nobody was judged by them before.", count(n, "case"))
	}
	return j
}

package web

import (
	"context"
	"net/http"
	"slices"

	"github.com/passmuster/muster"
)

// hostsPerPolicy is how many hosts the policies page names for each policy.
const hostsPerPolicy = 20

type policiesPage struct {
	Releases []releaseRow
	// Others are policies that hosts run and that were not published here: the
	// baseline that came with muster, or one from a stick.
	Others  []runRow
	Rings   []ringRow
	Members []memberRow
	Hosts   int // active
	Waiting int // of them without a report yet
}

// Earlier are the releases that no ring is offered.
func (p policiesPage) Earlier() (list []releaseRow) {
	for _, r := range p.Releases {
		if !r.Live {
			list = append(list, r)
		}
	}
	return list
}

type releaseRow struct {
	muster.Release
	At       moment
	Running  int
	Offered  int // hosts in the rings that it reaches
	Compared int
	Changes  []policyChange
	Hosts    []muster.HostStanding // that run it, the first of them
	More     int
	Next     muster.Ring
	Live     bool // some ring is offered it, or was when it was paused and runs it
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

func (s *server) policies(ctx context.Context, _ *http.Request) (*view, error) {
	releases, err := s.Reader.Releases(ctx)
	if err != nil {
		return nil, err
	}
	use, err := s.Reader.PolicyUse(ctx)
	if err != nil {
		return nil, err
	}
	members, err := s.Reader.RingMembers(ctx)
	if err != nil {
		return nil, err
	}
	counties, err := s.Reader.Counties(ctx, muster.View{})
	if err != nil {
		return nil, err
	}
	p := &policiesPage{}
	v := &view{Title: "Policies", Trail: s.trail(""), Here: "Policies", Page: p}
	for _, c := range counties {
		v.Demo.county(c)
	}
	for _, ring := range muster.Rings {
		p.Rings = append(p.Rings, ringOf(ring, releases, use))
	}
	for _, r := range releases {
		row, err := s.release(ctx, r, p.Rings, use)
		if err != nil {
			return nil, err
		}
		p.Releases = append(p.Releases, row)
	}
	for _, u := range use {
		p.Hosts += u.Hosts
		switch {
		case u.Policy == "":
			p.Waiting += u.Hosts
		case !slices.ContainsFunc(releases, func(r muster.Release) bool { return r.Policy == u.Policy }):
			p.other(u)
		}
	}
	for _, m := range members {
		name := countyName(m.County)
		if m.Host != "" {
			name = string(m.Host)
			if h, err := s.Reader.Host(ctx, muster.View{}, m.Host); err == nil {
				name = shown(h.Hostname, 64)
			}
		}
		p.Members = append(p.Members, memberRow{m, name})
	}
	return v, nil
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

func (s *server) release(ctx context.Context, r muster.Release, rings []ringRow, use []muster.PolicyUse) (releaseRow, error) {
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
	if row.Running == 0 {
		return row, nil
	}
	row.Live = row.Live || r.Paused
	effect, err := s.Reader.PolicyEffect(ctx, r.Policy)
	if err != nil {
		return row, err
	}
	row.Compared = effect.Compared
	for _, c := range effect.Changes {
		row.Changes = append(row.Changes, policyChange{s.lookup(c.Control), c, markOf(c.Was, ""), markOf(c.Became, "")})
	}
	order := []string{"worse", "new", "other", "better"}
	slices.SortStableFunc(row.Changes, func(a, b policyChange) int {
		return slices.Index(order, a.Kind()) - slices.Index(order, b.Kind())
	})
	page, err := s.Reader.Hosts(ctx, muster.View{}, muster.HostQuery{Policy: r.Policy, Limit: hostsPerPolicy})
	row.Hosts = page.Hosts
	row.More = row.Running - len(row.Hosts)
	return row, err
}

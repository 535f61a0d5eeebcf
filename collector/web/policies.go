package web

import (
	"cmp"
	"context"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"

	"github.com/passmuster/muster"
)

// How much the policies page lists: releases with a verdict, those that are offered to
// nobody any more, members of rings, and hosts with a policy that was not published.
const (
	liveShown    = 8
	earlierShown = 20
	membersShown = 60
	othersShown  = 20
)

type policiesPage struct {
	Live    []releaseRow
	Earlier []releaseRow // that no ring is offered
	Older   int64        // the version below which there are more of them; 0 for none
	Newest  bool         // Earlier begins with the newest
	Any     bool         // there is a release
	// Other hosts judge by policies that were not published here: the baseline that came
	// with muster, or what they say; Others are some of them.
	Other   int
	Others  []muster.HostStanding
	Further string // the address of those after them
	First   bool   // Others are the first
	Rings   []ringRow
	Members []memberRow
	More    int // members that are not listed
	Waiting int // active hosts without a report yet
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
		row := s.row(r, releases, use)
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
		case u.Unpublished:
			p.Other += u.Hosts
		case u.Policy == "":
			p.Waiting += u.Hosts
		}
	}
	if err := s.others(ctx, p, r.URL.Query().Get("others")); err != nil {
		return nil, err
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

// others are hosts with a policy that was not published, a page of them.
func (s *server) others(ctx context.Context, p *policiesPage, after string) error {
	if p.First = after == ""; p.Other == 0 {
		return nil
	}
	page, err := s.Reader.Hosts(ctx, muster.View{}, muster.HostQuery{Unpublished: true, After: after, Limit: othersShown})
	p.Others = page.Hosts
	if page.Next != "" {
		p.Further = "/policies?" + url.Values{"others": {page.Next}}.Encode() + "#others"
	}
	return err
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

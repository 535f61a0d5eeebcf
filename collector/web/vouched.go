package web

import (
	"cmp"
	"context"
	"slices"

	"github.com/passmuster/muster"
)

// How many waivers, attestations and asks a page tells of each, and how many of the
// newest asks it looks through.
const (
	vouchedShown = 20
	asksRead     = 200
)

// vouched is what people said that bears on the findings of a host, or of a control.
type vouched struct {
	Waivers      []waiverRow
	More         bool // waivers than these
	Attestations []attestationRow
	// Takers are controls that take people's word; which claim counts is the policy's.
	Takers []muster.Control
	Asks   []muster.Ask
}

// scope is whom a word is about: a host, a county, or everyone.
type scope struct {
	County muster.County
	Host   *muster.HostStanding // nil for more than one, or one that is not there
	Gone   bool                 // it is about a host that is not there
}

type waiverRow struct {
	muster.Waiver
	For  scope
	Ends moment
	Word string // "" while it is in force
}

type attestationRow struct {
	muster.Attestation
	For  scope
	Day  moment // on which it was so
	Ends moment
	Word string // "" while it holds
}

// scope of a word; ok is false where it says nothing about the county, "" for any.
func (s *server) scope(ctx context.Context, only, county muster.County, host muster.HostID) (to scope, ok bool, err error) {
	to.County = county
	if host == "" {
		return to, only == "" || county == "" || county == only, nil
	}
	to.Host, err = s.readable(ctx, host)
	to.Gone = to.Host == nil
	return to, only == "" || to.Host != nil && to.Host.County == only, err
}

// takesWord reports whether a control reads attestations.
func takesWord(c muster.Control) bool { return slices.Contains(c.Lists, "attestations") }

// vouchedFor a control, in one county or with "" in all.
func (s *server) vouchedFor(ctx context.Context, c muster.Control, only muster.County) (v vouched, err error) {
	var waivers []waiverRow
	for _, w := range s.Waivers {
		if w.Control == c.ID {
			from, until := moment{w.Approved, s.Now()}, moment{w.Expires, s.Now()}
			waivers = append(waivers, waiverRow{Waiver: w, Ends: until, Word: holds(from, until)})
		}
	}
	slices.SortStableFunc(waivers, func(a, b waiverRow) int {
		return cmp.Or(cmp.Compare(a.Word, b.Word), a.Expires.Compare(b.Expires))
	})
	for _, w := range waivers {
		var ok bool
		if w.For, ok, err = s.scope(ctx, only, w.County, w.Host); err != nil {
			return v, err
		}
		if ok {
			v.Waivers = append(v.Waivers, w)
		}
		if v.More = len(v.Waivers) > vouchedShown; v.More {
			v.Waivers = v.Waivers[:vouchedShown]
			break
		}
	}
	if takesWord(c) {
		for _, a := range s.Attestations {
			to, ok, err := s.scope(ctx, only, a.County, a.Host)
			if err != nil {
				return v, err
			}
			if ok && len(v.Attestations) < vouchedShown {
				v.Attestations = append(v.Attestations, s.attestation(a, to))
			}
		}
	}
	if s.view.Now() {
		v.Asks, err = s.asked(ctx, only, func(a muster.Ask) bool { return a.Control == c.ID })
	}
	return v, err
}

// vouchedOn a host: attestations that hold for it, and what was asked for. The waivers
// are told with what they excuse.
func (s *server) vouchedOn(ctx context.Context, h muster.HostStanding, findings []muster.FindingStanding) (v vouched, err error) {
	judged := func(control string) bool {
		return slices.ContainsFunc(findings, func(f muster.FindingStanding) bool { return f.Control == control })
	}
	for _, c := range s.Catalogue {
		if takesWord(c) && judged(c.ID) {
			v.Takers = append(v.Takers, c)
		}
	}
	for _, a := range s.Attestations {
		if v.Takers != nil && a.Covers(h.Host, s.Now()) && len(v.Attestations) < vouchedShown {
			to := scope{County: a.County}
			if a.Host != "" {
				to.Host = &h
			}
			v.Attestations = append(v.Attestations, s.attestation(a, to))
		}
	}
	if s.view.Now() {
		v.Asks, err = s.asked(ctx, h.County, func(a muster.Ask) bool { return a.Host == h.ID || a.Host == "" && judged(a.Control) })
	}
	return v, err
}

func (s *server) attestation(a muster.Attestation, to scope) attestationRow {
	on, until := moment{a.On, s.Now()}, moment{a.Until, s.Now()}
	return attestationRow{a, to, on, until, holds(on, until)}
}

// holds says why something with a first and a last day does not count; "" where it does.
func holds(from, until moment) string {
	switch {
	case from.Now.Before(from.At):
		return "not yet"
	case !until.Now.Before(until.At):
		return "ended"
	}
	return ""
}

// asked are the newest asks for a waiver of a county, or with "" of all, that are kept.
func (s *server) asked(ctx context.Context, county muster.County, keep func(muster.Ask) bool) ([]muster.Ask, error) {
	list, err := s.Reader.Asks(ctx, county, false, asksRead)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(slices.Clone(list), func(a muster.Ask) bool { return !keep(a) })
	return list[:min(len(list), asksShown)], nil
}

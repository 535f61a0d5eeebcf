package web

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// How many waivers, attestations and asks a page tells of each, and how many of the
// newest asks of a host and its county it looks through.
const (
	vouchedShown = 20
	asksRead     = 100
)

// vouched is what people said that bears on the findings of a host, or of a control.
type vouched struct {
	Waivers      []waiverRow
	More         bool // waivers than these
	Attestations []attestationRow
	// Takers are controls that take people's word; which claim counts is the policy's.
	Takers  []muster.Control
	Lacking []missingRow // claims that nobody vouches for
	Asks    []muster.Ask
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
	Word string // "" while it holds
	// Overdue: it ended; Due: it ends soon.
	Overdue, Due bool
}

// word is what someone said, and whom it is about.
type word[T any] struct {
	Word T
	For  scope
}

// concerning gives the first of the words that say something about a county, or with "" all,
// and the rest of these. Their hosts are asked for at once.
func concerning[T any](ctx context.Context, s *server, only muster.County, words []T, of func(T) (muster.County, muster.HostID), most int) (first []word[T], rest []T, err error) {
	asked := words
	if only == "" {
		asked = words[:min(len(words), most)]
	}
	var ids []muster.HostID
	for _, w := range asked {
		if _, host := of(w); host != "" {
			ids = append(ids, host)
		}
	}
	hosts := map[muster.HostID]*muster.HostStanding{}
	if ids != nil {
		list, err := s.Reader.HostsAmong(ctx, only, ids)
		if err != nil {
			return nil, nil, err
		}
		for i, h := range list {
			if s.person.reads(h.County) {
				hosts[h.ID] = &list[i]
			}
		}
	}
	for _, w := range words {
		county, host := of(w)
		to := scope{County: county, Host: hosts[host], Gone: host != "" && hosts[host] == nil}
		switch {
		case only != "" && (to.Gone || host == "" && county != "" && county != only):
		case len(first) < most:
			first = append(first, word[T]{w, to})
		default:
			rest = append(rest, w)
		}
	}
	return first, rest, nil
}

func aboutWaiver(w muster.Waiver) (muster.County, muster.HostID)           { return w.County, w.Host }
func aboutAttestation(a muster.Attestation) (muster.County, muster.HostID) { return a.County, a.Host }

// vouchedFor a control, in one county or with "" in all.
func (s *server) vouchedFor(ctx context.Context, c muster.Control, only muster.County) (v vouched, err error) {
	var waivers []muster.Waiver
	for _, w := range s.Waivers {
		if w.Control == c.ID {
			waivers = append(waivers, w)
		}
	}
	slices.SortStableFunc(waivers, func(a, b muster.Waiver) int {
		return cmp.Or(cmp.Compare(s.holds(a.Approved, a.Expires), s.holds(b.Approved, b.Expires)), a.Expires.Compare(b.Expires))
	})
	first, rest, err := concerning(ctx, s, only, waivers, aboutWaiver, vouchedShown)
	if err != nil {
		return v, err
	}
	v.More = rest != nil
	for _, w := range first {
		v.Waivers = append(v.Waivers, waiverRow{w.Word, w.For, moment{w.Word.Expires, s.Now()}, s.holds(w.Word.Approved, w.Word.Expires)})
	}
	words, _, err := concerning(ctx, s, only, s.words(c.ID), aboutAttestation, vouchedShown)
	if err != nil {
		return v, err
	}
	for _, a := range words {
		v.Attestations = append(v.Attestations, s.attestation(a.Word, a.For))
	}
	if s.view.Now() {
		var asks muster.AskPage
		asks, err = s.Reader.Asks(ctx, muster.AskQuery{County: only, Control: c.ID, Limit: asksShown})
		v.Asks = asks.Asks
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
	for _, c := range v.Takers {
		for _, claim := range s.Claims[c.ID] {
			if s.view.Now() && !slices.ContainsFunc(s.Attestations, func(a muster.Attestation) bool { return a.Claim == claim && a.Covers(h.Host, s.Now()) }) {
				v.Lacking = append(v.Lacking, missingRow{Claim: claim, Of: c})
			}
		}
	}
	if s.view.Now() {
		var asks muster.AskPage
		asks, err = s.Reader.Asks(ctx, muster.AskQuery{County: h.County, Host: h.ID, Limit: asksRead})
		v.Asks = slices.DeleteFunc(slices.Clone(asks.Asks), func(a muster.Ask) bool { return a.Host == "" && !judged(a.Control) })
		v.Asks = v.Asks[:min(len(v.Asks), asksShown)]
	}
	return v, err
}

func (s *server) attestation(a muster.Attestation, to scope) attestationRow {
	left := a.Until.Sub(s.Now())
	return attestationRow{a, to, s.holds(a.On, a.Until), left <= 0, left > 0 && left <= endsSoon}
}

// holds says why something that counts from an instant until another does not; "" where
// it does.
func (s *server) holds(from, until time.Time) string {
	switch now := s.Now(); {
	case now.Before(from):
		return "not yet"
	case !now.Before(until):
		return "ended"
	}
	return ""
}

// lastDay on which something counts that ends at an instant, UTC. Waivers and attestations
// name the first day that they do not count; people read the last that they do.
func lastDay(end time.Time) string { return end.UTC().Add(-1).Format("2 January 2006") }

package muster

import (
	"fmt"
	"slices"
	"time"
)

// Ring is a group of hosts that takes a new policy at the same time: the few
// that try it, those that follow, everyone else. The zero value is no ring.
type Ring string

const (
	RingCanary Ring = "canary"
	RingEarly  Ring = "early"
	RingAll    Ring = "all" // every host that is put in no other
)

// Rings in the order in which a policy reaches them.
var Rings = []Ring{RingCanary, RingEarly, RingAll}

// ParseRing reads "canary", "early" or "all".
func ParseRing(s string) (Ring, error) {
	if r := Ring(s); slices.Contains(Rings, r) {
		return r, nil
	}
	return "", fmt.Errorf("ring %q is not known: use canary, early or all", s)
}

// Reaches reports whether what is offered as far as r is offered to hosts of
// the other ring.
func (r Ring) Reaches(other Ring) bool {
	return slices.Index(Rings, r) >= slices.Index(Rings, other)
}

// Next is the ring after r; "" after the last.
func (r Ring) Next() Ring {
	if i := slices.Index(Rings, r); i+1 < len(Rings) {
		return Rings[i+1]
	}
	return ""
}

// RingMember puts one county, or one host, into a ring.
type RingMember struct {
	County County `json:"county,omitempty"`
	Host   HostID `json:"host,omitempty"` // goes before its county
	Ring   Ring   `json:"ring"`
}

// RingOf tells the ring of a host: its own, else its county's, else all.
func RingOf(members []RingMember, host HostID, county County) Ring {
	ring := RingAll
	for _, m := range members {
		switch {
		case m.Host != "" && m.Host == host:
			return m.Ring
		case m.Host == "" && m.County == county:
			ring = m.Ring
		}
	}
	return ring
}

// Release is a signed policy bundle that a collector offers, and how far.
type Release struct {
	// Version counts up; hosts refuse a lower one than they have.
	Version  int64  `json:"version"`
	Revision string `json:"revision"`
	// Digest of Bundle, hex SHA-256; the ETag. Policy is the digest of its
	// contents, as reports name it.
	Digest string `json:"digest"`
	Policy string `json:"policy"`
	Bundle []byte `json:"-"` // tar.gz; nil in lists
	// Ring is the last ring that is offered it. Paused: for now nobody is.
	Ring      Ring      `json:"ring"`
	Paused    bool      `json:"paused"`
	Actor     string    `json:"actor"`
	Published time.Time `json:"published"`
}

// Offer chooses what a host of the ring is offered: the highest version that
// reaches it and is not paused. ok is false where there is none, or where the
// host judges by that one or a higher one already, for it would refuse. has is
// the digest of the policy that it judges by.
func Offer(releases []Release, ring Ring, has string) (best Release, ok bool) {
	var have int64
	for _, r := range releases {
		if has != "" && r.Policy == has {
			have = max(have, r.Version)
		}
		if !r.Paused && r.Ring.Reaches(ring) && r.Version > best.Version {
			best = r
		}
	}
	return best, best.Version > have
}

// PolicyUse counts the active hosts of a ring whose newest report was judged by
// a policy that was published, or by any other.
type PolicyUse struct {
	// Policy is the digest of its contents; "" before the first report, and of those that
	// were not published.
	Policy   string `json:"policy"`
	Revision string `json:"revision"`
	// Unpublished: of all policies that are none of the releases.
	Unpublished bool `json:"unpublished,omitempty"`
	Ring        Ring `json:"ring"`
	Hosts       int  `json:"hosts"`
	// Stale of the hosts have been silent for too long.
	Stale int `json:"stale"`
}

// PolicyEffect is what a policy changed on the hosts that took it up: their
// last verdicts before against their first under it.
type PolicyEffect struct {
	// Compared hosts had a report before and have one under the policy.
	Compared int            `json:"compared"`
	Changes  []PolicyChange `json:"changes"`
}

// PolicyChange counts hosts on which one control went from Was to Became with
// the first report under a policy. New: the control was not asked before.
type PolicyChange struct {
	Control string `json:"control"`
	New     bool   `json:"new"`
	Was     Status `json:"was"`
	Became  Status `json:"became"`
	Hosts   int    `json:"hosts"`
}

// ParseRingMember reads a ring, and a county's FIPS code or a host's id.
func ParseRingMember(who, ring string) (RingMember, error) {
	to, err := ParseRing(ring)
	m := RingMember{Ring: to}
	if err != nil {
		return m, err
	}
	if county, err := ParseCounty(who); err == nil {
		m.County = county
		return m, nil
	}
	m.Host, err = ParseHostID(who)
	if err != nil {
		err = fmt.Errorf("%q is neither a county's FIPS code nor a host's id", who)
	}
	return m, err
}

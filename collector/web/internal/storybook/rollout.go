package storybook

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/fips"
)

// Digests of the policies that the invented hosts run.
var (
	inUse = strings.Repeat("1a", 32)
	tried = strings.Repeat("2b", 32)
)

// roll invents releases: the one in use, and one that two counties try.
func (b *Book) roll(now time.Time) {
	counties := fips.Counties("56")
	b.Members = []muster.RingMember{{County: counties[0], Ring: muster.RingCanary}, {County: counties[1], Ring: muster.RingCanary},
		{County: counties[4], Ring: muster.RingEarly}}
	b.Policies = []muster.Release{
		{Version: 14, Revision: "2026.11.2", Policy: tried, Ring: muster.RingCanary, Actor: "console", Published: now.Add(-26 * time.Hour)},
		{Version: 13, Revision: "2026.11.1", Policy: inUse, Ring: muster.RingAll, Actor: "token", Published: now.AddDate(0, 0, -12)},
		{Version: 12, Revision: "2026.10.4", Policy: strings.Repeat("3c", 32), Ring: muster.RingEarly, Paused: true, Actor: "token", Published: now.AddDate(0, 0, -19)},
		{Version: 11, Revision: "2026.10.3", Policy: strings.Repeat("4d", 32), Ring: muster.RingAll, Actor: "console", Published: now.AddDate(0, -1, -3)},
	}
	b.Effect = map[string]muster.PolicyEffect{tried: {Compared: 7, Changes: []muster.PolicyChange{
		{Control: "MVS-ACC-01", Was: muster.StatusFail, Became: muster.StatusPass, Hosts: 2},
		{Control: "MVS-NET-03", Was: muster.StatusPass, Became: muster.StatusFail, Hosts: 3},
		{Control: "MVS-BAK-02", New: true, Became: muster.StatusUnknown, Hosts: 7},
	}}}
}

// Releases are all that were published.
func (b *Book) Releases(context.Context) ([]muster.Release, error) { return b.Policies, nil }

// RingMembers are those in a ring of their own.
func (b *Book) RingMembers(context.Context) ([]muster.RingMember, error) { return b.Members, nil }

// PolicyUse counts active hosts by policy and ring.
func (b *Book) PolicyUse(context.Context) ([]muster.PolicyUse, error) {
	var list []muster.PolicyUse
next:
	for _, h := range b.active(func(muster.HostStanding) bool { return true }) {
		u := muster.PolicyUse{Ring: muster.RingOf(b.Members, h.ID, h.County), Unpublished: b.unpublished(h)}
		if !u.Unpublished {
			u.Policy, u.Revision = h.PolicyDigest, h.PolicyRevision
		}
		stale := 0
		if h.Stale {
			stale = 1
		}
		for i := range list {
			if list[i].Policy == u.Policy && list[i].Unpublished == u.Unpublished && list[i].Ring == u.Ring {
				list[i].Hosts, list[i].Stale = list[i].Hosts+1, list[i].Stale+stale
				continue next
			}
		}
		u.Hosts, u.Stale = 1, stale
		list = append(list, u)
	}
	return list, nil
}

// unpublished: the host judges by a policy that is none of the releases.
func (b *Book) unpublished(h muster.HostStanding) bool {
	return h.PolicyDigest != "" && !slices.ContainsFunc(b.Policies, func(r muster.Release) bool { return r.Policy == h.PolicyDigest })
}

// PolicyEffect is as invented.
func (b *Book) PolicyEffect(_ context.Context, policy string, known func(control string) bool) (muster.PolicyEffect, error) {
	e := b.Effect[policy]
	e.Changes = slices.DeleteFunc(slices.Clone(e.Changes), func(c muster.PolicyChange) bool { return !known(c.Control) })
	return e, nil
}

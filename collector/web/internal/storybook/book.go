// Package storybook holds an invented state in memory, so that the dashboard's
// pages can be tested and looked at without a collector. It makes no promises.
package storybook

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// Book is what a store would know; its methods answer what the pages ask.
type Book struct {
	Catalogue []muster.Control
	// Fleet is every host, pending ones included.
	Fleet    []muster.HostStanding
	Findings []muster.FindingStanding
	// Transitions, newest first.
	Transitions []muster.Transition
	Evidence    map[muster.HostID]map[string]muster.Evidence
	Policies    []muster.Release
	Members     []muster.RingMember
	Effect      map[string]muster.PolicyEffect
	// Absent are expected hosts, most of them missing.
	Absent []muster.ExpectedHost
	// Waivers in force, Held by each policy that is offered, and what people attest.
	Waivers      []muster.Waiver
	Held         map[int64][]muster.Waiver
	Attestations []muster.Attestation
	Claims       map[string][]string // that controls read
	Records
}

func (b *Book) active(keep func(muster.HostStanding) bool) []muster.HostStanding {
	var list []muster.HostStanding
	for _, h := range b.Fleet {
		if h.State == muster.HostActive && keep(h) {
			list = append(list, h)
		}
	}
	return list
}

func (b *Book) severity(control string) muster.Severity {
	for _, c := range b.Catalogue {
		if c.ID == control {
			return c.Severity
		}
	}
	return muster.SeverityCritical
}

func unmet(s muster.Status) bool { return s == muster.StatusFail || s == muster.StatusUnknown }

func (b *Book) gatingFail(id muster.HostID) bool {
	return slices.ContainsFunc(b.Findings, func(f muster.FindingStanding) bool {
		return f.Host == id && f.Status == muster.StatusFail && f.Waiver == "" && b.severity(f.Control).Gates()
	})
}

// Counties counts the hosts of each county.
func (b *Book) Counties(_ context.Context, v muster.View) ([]muster.CountyStanding, error) {
	if !v.Now() && b.Daily != nil {
		return b.then(v), nil
	}
	at := map[muster.County]*muster.CountyStanding{}
	county := func(c muster.County) *muster.CountyStanding {
		if at[c] == nil {
			at[c] = &muster.CountyStanding{County: c}
		}
		return at[c]
	}
	for _, e := range b.Absent {
		if e.Host == "" {
			county(e.County).Missing++
		}
	}
	for _, h := range b.Fleet {
		c := county(h.County)
		if h.Demo {
			c.Invented++
		}
		if h.State == muster.HostPending {
			c.Pending++
			continue
		}
		c.Hosts++
		switch {
		case h.Stale:
			c.Stale++
		case h.Meets():
			c.Meeting++
		case b.gatingFail(h.ID):
			c.Failing++
		default:
			c.Unknown++
		}
	}
	var list []muster.CountyStanding
	for _, c := range at {
		list = append(list, *c)
	}
	return list, nil
}

// Hosts are the active hosts that the query chooses, a page of them.
func (b *Book) Hosts(_ context.Context, _ muster.View, q muster.HostQuery) (muster.HostPage, error) {
	list := b.active(func(h muster.HostStanding) bool {
		return (q.County == "" || h.County == q.County) && (q.Policy == "" || h.PolicyDigest == q.Policy) && (!q.Unpublished || b.unpublished(h)) &&
			(q.Profile == "" || h.Profile == q.Profile)
	})
	if q.Control != "" {
		for i := range list {
			at := slices.IndexFunc(b.Findings, func(f muster.FindingStanding) bool {
				return f.Host == list[i].ID && f.Control == q.Control && unmet(f.Status)
			})
			if at >= 0 {
				list[i].Finding = &b.Findings[at]
			}
		}
		list = slices.DeleteFunc(list, func(h muster.HostStanding) bool { return h.Finding == nil })
	}
	after, _ := strconv.Atoi(q.After)
	list = list[min(max(0, after), len(list)):]
	if q.Limit > 0 && len(list) > q.Limit {
		return muster.HostPage{Hosts: list[:q.Limit], Next: strconv.Itoa(after + q.Limit)}, nil
	}
	return muster.HostPage{Hosts: list}, nil
}

// CountyFindings are the county's fails and unknowns.
func (b *Book) CountyFindings(_ context.Context, v muster.View, county muster.County) ([]muster.FindingStanding, error) {
	var list []muster.FindingStanding
	for _, f := range b.Findings {
		if h, err := b.Host(context.Background(), v, f.Host); err == nil && h.County == county && unmet(f.Status) {
			list = append(list, f)
		}
	}
	return list, nil
}

// Host finds an active host.
func (b *Book) Host(_ context.Context, _ muster.View, id muster.HostID) (muster.HostStanding, error) {
	for _, h := range b.Fleet {
		if h.ID == id && h.State == muster.HostActive {
			return h, nil
		}
	}
	return muster.HostStanding{}, fmt.Errorf("host %s: %w", id, fs.ErrNotExist)
}

// HostsAmong are the active hosts that have one of the ids.
func (b *Book) HostsAmong(_ context.Context, county muster.County, ids []muster.HostID) ([]muster.HostStanding, error) {
	return b.active(func(h muster.HostStanding) bool {
		return (county == "" || h.County == county) && slices.Contains(ids, h.ID)
	}), nil
}

// WaiverUse counts what each waiver excuses.
func (b *Book) WaiverUse(ctx context.Context, county muster.County) (list []muster.WaiverUse, err error) {
	for _, f := range b.Findings {
		h, err := b.Host(ctx, muster.View{}, f.Host)
		if err != nil || h.Stale || f.Waiver == "" || !unmet(f.Status) || county != "" && h.County != county {
			continue
		}
		at := slices.IndexFunc(list, func(u muster.WaiverUse) bool { return u.Waiver == f.Waiver && u.Control == f.Control })
		if at < 0 {
			at = len(list)
			list = append(list, muster.WaiverUse{Waiver: f.Waiver, Control: f.Control})
		}
		list[at].Findings++
	}
	return list, nil
}

// Find gives the active hosts whose name contains the text, or whose id begins with it.
func (b *Book) Find(_ context.Context, county muster.County, text string, limit int) ([]muster.HostStanding, error) {
	text = strings.ToLower(text)
	begins := func(h muster.HostStanding) bool { return strings.HasPrefix(strings.ToLower(h.Hostname), text) }
	list := b.active(func(h muster.HostStanding) bool {
		return text != "" && (county == "" || h.County == county) &&
			(strings.Contains(strings.ToLower(h.Hostname), text) || strings.HasPrefix(string(h.ID), text))
	})
	slices.SortFunc(list, func(x, y muster.HostStanding) int {
		if begins(x) != begins(y) {
			return map[bool]int{true: -1, false: 1}[begins(x)]
		}
		return strings.Compare(strings.ToLower(x.Hostname), strings.ToLower(y.Hostname))
	})
	return list[:min(limit, len(list))], nil
}

// HostFindings are all findings of the host.
func (b *Book) HostFindings(_ context.Context, _ muster.View, id muster.HostID) ([]muster.FindingStanding, error) {
	var list []muster.FindingStanding
	for _, f := range b.Findings {
		if f.Host == id {
			list = append(list, f)
		}
	}
	return list, nil
}

// HostTransitions are the host's changes.
func (b *Book) HostTransitions(_ context.Context, _ muster.View, id muster.HostID, limit int) ([]muster.Transition, error) {
	return b.transitions(limit, func(t muster.Transition) bool { return t.Host == id }), nil
}

func (b *Book) transitions(limit int, keep func(muster.Transition) bool) []muster.Transition {
	var list []muster.Transition
	for _, t := range b.Transitions {
		if len(list) < limit && keep(t) {
			list = append(list, t)
		}
	}
	return list
}

// HostEvidence is the evidence of the host's newest report.
func (b *Book) HostEvidence(_ context.Context, id muster.HostID, _ uint64) (map[string]muster.Evidence, error) {
	return b.Evidence[id], nil
}

// Controls counts each control over active hosts that are not stale.
func (b *Book) Controls(_ context.Context, v muster.View, county muster.County) ([]muster.ControlStanding, error) {
	at := map[string]int{}
	counties := map[string]map[muster.County]bool{}
	var list []muster.ControlStanding
	hosts := map[muster.HostID]muster.HostStanding{}
	for _, h := range b.active(func(h muster.HostStanding) bool { return !h.Stale && (county == "" || h.County == county) }) {
		hosts[h.ID] = h
	}
	for _, f := range b.findings(v) {
		h, ok := hosts[f.Host]
		if !ok {
			continue
		}
		i, ok := at[f.Control]
		if !ok {
			i = len(list)
			at[f.Control] = i
			list = append(list, muster.ControlStanding{Control: f.Control})
			counties[f.Control] = map[muster.County]bool{}
		}
		c := &list[i]
		switch {
		case unmet(f.Status) && f.Waiver != "":
			c.Waived++
		case f.Status == muster.StatusPass:
			c.Pass++
		case f.Status == muster.StatusFail:
			c.Fail++
			counties[f.Control][h.County] = true
			c.FailCounties = len(counties[f.Control])
		case f.Status == muster.StatusNotApplicable:
			c.NotApplicable++
		default:
			c.Unknown++
		}
	}
	return list, nil
}

// ControlCounties counts the control, or with "" every one, in each county.
func (b *Book) ControlCounties(ctx context.Context, v muster.View, control string) ([]muster.CountyControl, error) {
	var list []muster.CountyControl
	seen := map[muster.County]bool{}
	for _, h := range b.Fleet {
		if seen[h.County] {
			continue
		}
		seen[h.County] = true
		controls, err := b.Controls(ctx, v, h.County)
		if err != nil {
			return nil, err
		}
		for _, c := range controls {
			if control == "" || c.Control == control {
				list = append(list, muster.CountyControl{County: h.County, ControlStanding: c})
			}
		}
	}
	return list, nil
}

// Changes are the newest transitions that are not First.
func (b *Book) Changes(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.Transition, error) {
	list := b.transitions(limit, func(t muster.Transition) bool {
		h, err := b.Host(ctx, v, t.Host)
		return err == nil && !t.First && (county == "" || h.County == county) && (v.Now() || !t.ReceivedAt.After(v.At))
	})
	for i := range list {
		h, _ := b.Host(ctx, v, list[i].Host)
		list[i].Hostname, list[i].County = h.Hostname, h.County
	}
	return list, nil
}

// Quiet are the stale hosts, the longest silent first.
func (b *Book) Quiet(_ context.Context, _ muster.View, county muster.County, limit int) ([]muster.HostStanding, error) {
	list := b.active(func(h muster.HostStanding) bool { return h.Stale && (county == "" || h.County == county) })
	slices.SortFunc(list, func(x, y muster.HostStanding) int { return x.LastSeen.Compare(y.LastSeen) })
	return list[:min(limit, len(list))], nil
}

// PendingPage are hosts that wait for approval, the longest waiting first.
func (b *Book) PendingPage(_ context.Context, county muster.County, after muster.HostID, limit int) ([]muster.HostStanding, error) {
	var list []muster.HostStanding
	for _, h := range b.Fleet {
		if h.State == muster.HostPending && (county == "" || h.County == county) {
			list = append(list, h)
		}
	}
	slices.SortStableFunc(list, func(x, y muster.HostStanding) int { return x.FirstSeen.Compare(y.FirstSeen) })
	list = list[1+slices.IndexFunc(list, func(h muster.HostStanding) bool { return h.ID == after }):]
	return list[:min(limit, len(list))], nil
}

// Expected are the county's expected hosts.
func (b *Book) Expected(_ context.Context, _ muster.View, county muster.County) ([]muster.ExpectedHost, error) {
	var list []muster.ExpectedHost
	for _, e := range b.Absent {
		if county == "" || e.County == county {
			list = append(list, e)
		}
	}
	return list, nil
}

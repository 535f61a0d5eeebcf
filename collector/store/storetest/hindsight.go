package storetest

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
)

// heard is a report, and when it was made as far as can be known.
type heard struct {
	muster.Accepted
	received, about time.Time
}

// model is all reports of each host by number. It is written plainly, to hold a store
// against it.
type model map[muster.HostID][]heard

// take keeps a report. It was made before it came, and in the order of the numbers.
func (m model) take(a muster.Accepted, received time.Time) {
	list := m[a.Header.Host]
	at := 0
	for at < len(list) && list[at].Header.Seq < a.Header.Seq {
		at++
	}
	about := a.Header.CollectedAt
	if about.After(received) {
		about = received
	}
	if at > 0 && about.Before(list[at-1].about) {
		about = list[at-1].about
	}
	if at < len(list) && about.After(list[at].about) {
		about = list[at].about
	}
	m[a.Header.Host] = slices.Insert(list, at, heard{a, received, about})
}

// newest is the report of the highest number that was made by then.
func (m model) newest(id muster.HostID, then time.Time) (best heard, ok bool) {
	for _, r := range m[id] {
		if !r.about.After(then) {
			best, ok = r, true
		}
	}
	return best, ok
}

// hindsight: what is known now about a past instant is what all reports tell that were
// made by then, of the hosts as they are registered now.
func hindsight(t *testing.T, f *fixture) {
	histories(t, f, func(t *testing.T, h *history) {
		start := h.now
		for n := range *steps {
			if h.step(); n == *steps/2 {
				h.swapProfiles()
			}
		}
		h.pass()
		must(t, h.Rollup(h.ctx, h.now))
		registered := h.hosts(muster.HostQuery{})
		for range 25 {
			then := start.Add(time.Duration(h.Int64N(int64(h.now.Sub(start))))).Truncate(time.Microsecond)
			h.wantHosts(then, registered)
			h.wantCounts(then, registered)
		}
	})
}

func (h *history) member(id muster.HostID) *member {
	return h.fleet[slices.IndexFunc(h.fleet, func(m *member) bool { return m.id == id })]
}

// swapProfiles: every host says that it is of the other profile.
func (h *history) swapProfiles() {
	h.Helper()
	h.now = h.now.Add(time.Second)
	for _, m := range h.fleet {
		if m.said.Profile == muster.EMS {
			m.said.Profile = muster.Workstation
		} else {
			m.said.Profile = muster.EMS
		}
		h.say(m)
	}
}

// told is what a host is in hindsight; ok is false where nobody knows that it was there.
func (h *history) told(now muster.HostStanding, then time.Time) (told muster.HostStanding, r heard, ok bool) {
	m := h.member(now.ID)
	r, ok = h.model.newest(now.ID, then)
	now.County, now.Profile, now.Platform, now.Demo = m.said.County, m.said.Profile, m.said.Platform, m.said.Demo
	now.Seq, now.Summary, now.LastSeen, now.CollectedAt, now.FirstSeen = 0, muster.Summary{}, time.Time{}, time.Time{}, time.Time{}
	now.PolicyDigest, now.PolicyRevision, now.Agent, now.Missing, now.AuditWanted = "", "", "", 0, time.Time{}
	if !ok {
		now.Stale = then.Sub(m.joined) > now.Profile.StaleAfter()
		return now, r, !m.joined.After(then)
	}
	now.Seq, now.Summary, now.LastSeen, now.CollectedAt = r.Header.Seq, r.Summary, r.received, r.Header.CollectedAt
	now.PolicyDigest, now.PolicyRevision = r.Header.PolicyDigest, r.Header.PolicyRevision
	now.Stale = then.Sub(r.about) > now.Profile.StaleAfter()
	return now, r, true
}

func (h *history) wantHosts(then time.Time, registered []muster.HostStanding) {
	h.Helper()
	v := muster.View{At: then, Known: muster.KnownNow}
	var want []muster.HostStanding
	for _, now := range registered {
		told, r, ok := h.told(now, then)
		got, err := h.Host(h.ctx, v, now.ID)
		if !ok {
			if !errors.Is(err, fs.ErrNotExist) {
				h.Fatalf("%s before it was there: %+v, %v", now.ID, got, err)
			}
			continue
		}
		must(h.T, err)
		want = append(want, told)
		h.same(then, told, got)
		findings := get[[]muster.FindingStanding](h.T)(h.HostFindings(h.ctx, v, now.ID))
		if len(findings) != len(r.Verdicts) {
			h.Fatalf("%s at %s: %+v, want %+v", now.ID, then, findings, r.Verdicts)
		}
		for _, f := range findings {
			if !slices.ContainsFunc(r.Verdicts, func(v muster.Verdict) bool {
				return v.Control == f.Control && v.Status == f.Status && v.Waiver == f.Waiver
			}) || f.Since.After(then) {
				h.Fatalf("%s at %s, report %d: %+v, want one of %+v", now.ID, then, r.Header.Seq, f, r.Verdicts)
			}
		}
	}
	page := get[muster.HostPage](h.T)(h.Hosts(h.ctx, v, muster.HostQuery{}))
	if len(page.Hosts) != len(want) {
		h.Fatalf("%d hosts at %s, want %d", len(page.Hosts), then, len(want))
	}
	for i := range want {
		h.same(then, want[i], page.Hosts[i])
	}
}

// same compares what the model knows of a host.
func (h *history) same(then time.Time, want, got muster.HostStanding) {
	h.Helper()
	got.Agent, got.Missing, got.FirstSeen = "", 0, time.Time{}
	if diff := gocmp.Diff(want, got); diff != "" {
		h.Fatalf("known now about %s (- model, + store):\n%s", then.Format(time.RFC3339Nano), diff)
	}
}

// wantCounts compares counts, and the stale hosts of the state, which are as of the end of
// the last day before then.
func (h *history) wantCounts(then time.Time, registered []muster.HostStanding) {
	h.Helper()
	v := muster.View{At: then, Known: muster.KnownNow}
	then = then.Add(time.Microsecond).Truncate(24 * time.Hour).Add(-time.Microsecond)
	counties, controls := map[muster.County]muster.CountyStanding{}, map[string]muster.ControlStanding{}
	failing := map[string]map[muster.County]bool{}
	var quiet []muster.HostStanding
	silent := map[muster.HostID]time.Time{}
	for _, now := range registered {
		host, r, ok := h.told(now, then)
		if !ok || host.ReplacedBy != "" {
			continue
		}
		c := counties[host.County]
		c.County = host.County
		c.Hosts++
		switch {
		case host.Stale:
			c.Stale++
			quiet = append(quiet, host)
			silent[host.ID] = cmp.Or(r.about, h.member(host.ID).joined)
		case host.Meets():
			c.Meeting++
		case r.GateFails:
			c.Failing++
		default:
			c.Unknown++
		}
		counties[c.County] = c
		for _, v := range r.Verdicts {
			if host.Stale {
				break
			}
			k := controls[v.Control]
			k.Control = v.Control
			switch unmet := v.Status == fail || v.Status == unknown; {
			case unmet && v.Waiver != "":
				k.Waived++
			case v.Status == fail:
				k.Fail++
				if failing[v.Control] == nil {
					failing[v.Control] = map[muster.County]bool{}
				}
				failing[v.Control][host.County] = true
				k.FailCounties = len(failing[v.Control])
			case v.Status == unknown:
				k.Unknown++
			case v.Status == pass:
				k.Pass++
			default:
				k.NotApplicable++
			}
			controls[v.Control] = k
		}
	}
	gotCounties, gotControls := map[muster.County]muster.CountyStanding{}, map[string]muster.ControlStanding{}
	for _, c := range get[[]muster.CountyStanding](h.T)(h.Counties(h.ctx, v)) {
		if c.Pending, c.Missing, c.Invented = 0, 0, 0; c.Hosts > 0 { // what waits has no verdicts
			gotCounties[c.County] = c
		}
	}
	for _, k := range get[[]muster.ControlStanding](h.T)(h.Controls(h.ctx, v, "")) {
		gotControls[k.Control] = k
	}
	if diff := gocmp.Diff(counties, gotCounties) + gocmp.Diff(controls, gotControls); diff != "" {
		h.Fatalf("counts known now about %s (- model, + store):\n%s", then.Format(time.RFC3339Nano), diff)
	}
	slices.SortFunc(quiet, func(a, b muster.HostStanding) int {
		return cmp.Or(silent[a.ID].Compare(silent[b.ID]), strings.Compare(string(a.ID), string(b.ID)))
	})
	got := get[[]muster.HostStanding](h.T)(h.Quiet(h.ctx, v, "", 1000))
	if len(got) != len(quiet) {
		h.Fatalf("%d hosts are quiet at %s, want %d", len(got), then, len(quiet))
	}
	for i := range quiet {
		h.same(then, quiet[i], got[i])
	}
}

package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

// counting is a model: hosts of every kind report, move, fall silent and are
// approved in random order, and whatever is counted must equal a count of their
// findings, one by one.
func counting(t *testing.T, f *fixture) {
	type host struct {
		id      muster.HostID
		county  muster.County
		profile muster.Profile
		active  bool
		heard   time.Time
		newest  *muster.Accepted
		seq     uint64
	}
	r := rand.New(rand.NewPCG(1, 2))
	var hosts []*host
	for n := range 40 {
		h := &host{county: muster.County(fmt.Sprintf("17%03d", r.IntN(5))), active: r.IntN(5) > 0, heard: f.now,
			profile: []muster.Profile{muster.Workstation, muster.EMS}[r.IntN(2)]}
		h.id = f.enroll(n, h.county, h.profile, h.active)
		hosts = append(hosts, h)
	}
	for range 12 {
		f.now = f.now.Add(time.Duration(r.IntN(6*24)) * time.Hour)
		var reports []muster.Accepted
		for _, h := range hosts {
			if !h.active && r.IntN(8) == 0 {
				must(t, f.approve(h.id))
				h.active = true
			}
			if r.IntN(3) == 0 {
				continue
			}
			h.seq += uint64(1 + r.IntN(2))
			a := f.report(h.id, h.seq)
			var findings []muster.Finding
			for c := range 6 {
				if r.IntN(6) == 0 {
					continue // a control that this policy does not have
				}
				v := muster.Verdict{Control: fmt.Sprint("C", c), Status: muster.Status(r.IntN(4))}
				finding := muster.Finding{Status: v.Status, Severity: severityOf(v.Control)}
				if r.IntN(4) == 0 {
					v.Waiver, finding.Waiver = fmt.Sprint("W", c%2+r.IntN(2)), &muster.Waiver{}
				}
				a.GateFails = a.GateFails || v.Status == fail && v.Waiver == "" && finding.Severity.Gates()
				a.Verdicts, findings = append(a.Verdicts, v), append(findings, finding)
			}
			a.Summary = muster.Summarize(findings)
			h.newest, h.heard = &a, f.now
			reports = append(reports, a)
		}
		f.commit(muster.OutcomeStored, reports...)

		counties, controls := map[muster.County]muster.CountyStanding{}, map[string]muster.ControlStanding{}
		failing := map[string]map[muster.County]bool{}
		uses := map[muster.County]map[muster.WaiverUse]int{}
		for _, h := range hosts {
			c := counties[h.county]
			c.County = h.county
			stale := f.now.Sub(h.heard) > h.profile.StaleAfter()
			meets, fails := false, false
			var verdicts []muster.Verdict
			if h.newest != nil {
				verdicts = h.newest.Verdicts
			}
			meets = len(verdicts) > 0
			for _, v := range verdicts {
				k := controls[v.Control]
				k.Control = v.Control
				bad := v.Status == fail || v.Status == unknown
				gates := severityOf(v.Control).Gates()
				switch {
				case bad && v.Waiver != "":
					k.Waived++
					for _, county := range []muster.County{"", h.county} {
						if h.active && !stale {
							if uses[county] == nil {
								uses[county] = map[muster.WaiverUse]int{}
							}
							uses[county][muster.WaiverUse{Waiver: v.Waiver, Control: v.Control}]++
						}
					}
				case v.Status == fail:
					k.Fail++
					if h.active && !stale {
						if failing[v.Control] == nil {
							failing[v.Control] = map[muster.County]bool{}
						}
						failing[v.Control][h.county] = true
					}
				case v.Status == unknown:
					k.Unknown++
				case v.Status == pass:
					k.Pass++
				default:
					k.NotApplicable++
				}
				if bad && v.Waiver == "" && gates {
					meets, fails = false, fails || v.Status == fail
				}
				if h.active && !stale {
					k.FailCounties = len(failing[v.Control])
					controls[v.Control] = k
				}
			}
			switch {
			case !h.active:
				c.Pending++
			case stale:
				c.Hosts, c.Stale = c.Hosts+1, c.Stale+1
			case meets:
				c.Hosts, c.Meeting = c.Hosts+1, c.Meeting+1
			case fails:
				c.Hosts, c.Failing = c.Hosts+1, c.Failing+1
			default:
				c.Hosts, c.Unknown = c.Hosts+1, c.Unknown+1
			}
			counties[h.county] = c
			if h.active {
				f.wantStatuses(h.id, verdicts)
			}
		}
		gotCounties := get[[]muster.CountyStanding](t)(f.Counties(f.ctx, muster.View{}))
		for _, c := range gotCounties {
			if c != counties[c.County] || c.Meeting+c.Failing+c.Unknown+c.Stale != c.Hosts {
				t.Fatalf("county:\n got %+v\nwant %+v", c, counties[c.County])
			}
		}
		for county := range maps.Keys(counties) {
			uses[county] = maps.Clone(uses[county]) // where it has none, too
		}
		for county, want := range uses {
			for _, u := range get[[]muster.WaiverUse](t)(f.WaiverUse(f.ctx, county)) {
				key := muster.WaiverUse{Waiver: u.Waiver, Control: u.Control}
				if want[key] != u.Findings {
					t.Fatalf("%+v in %q, want %d", u, county, want[key])
				}
				delete(want, key)
			}
			if len(want) > 0 {
				t.Fatalf("waivers in %q that are not counted: %v", county, want)
			}
		}
		gotControls := get[[]muster.ControlStanding](t)(f.Controls(f.ctx, muster.View{}, ""))
		for _, k := range gotControls {
			if k != controls[k.Control] {
				t.Fatalf("control:\n got %+v\nwant %+v", k, controls[k.Control])
			}
		}
		sums := map[string]muster.ControlStanding{}
		for _, k := range get[[]muster.CountyControl](t)(f.ControlCounties(f.ctx, muster.View{}, "")) {
			sum := sums[k.Control]
			sum.Control = k.Control
			sum.Add(k.ControlStanding)
			sums[k.Control] = sum
		}
		if !maps.Equal(sums, controls) {
			t.Fatalf("controls by county:\n got %+v\nwant %+v", sums, controls)
		}
		if len(gotCounties) != len(counties) || len(gotControls) != len(controls) {
			t.Fatalf("%d counties and %d controls, want %d and %d", len(gotCounties), len(gotControls), len(counties), len(controls))
		}
	}
}

// wantStatuses compares the findings of a host with its newest verdicts.
func (f *fixture) wantStatuses(id muster.HostID, want []muster.Verdict) {
	f.Helper()
	got := get[[]muster.FindingStanding](f.T)(f.HostFindings(f.ctx, muster.View{}, id))
	slices.SortFunc(got, func(a, b muster.FindingStanding) int { return strings.Compare(a.Control, b.Control) })
	if !slices.EqualFunc(got, want, func(g muster.FindingStanding, w muster.Verdict) bool {
		return g.Control == w.Control && g.Status == w.Status && g.Waiver == w.Waiver
	}) {
		f.Fatalf("findings of %s:\n got %+v\nwant %+v", id, got, want)
	}
}

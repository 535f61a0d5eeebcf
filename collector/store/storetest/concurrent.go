package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// concurrent commits the same reports from several sides while others read:
// each is stored exactly once.
func concurrent(t *testing.T, f *fixture) {
	const hosts, reports, sides = 4, 10, 3
	for n := range hosts {
		f.enroll(n, "17031", muster.Workstation, true)
	}
	var mu sync.Mutex
	stored := map[string]int{}
	var all sync.WaitGroup
	for range sides {
		all.Go(func() {
			for seq := uint64(1); seq <= reports; seq++ {
				for n := range hosts {
					got, err := f.Commit(f.ctx, []muster.Accepted{f.report(HostID(n), seq, muster.Status(seq%4))})
					if err != nil || got[0].Outcome == muster.OutcomeConflict {
						t.Errorf("commit: %v %v", got, err)
						return
					}
					if got[0].Outcome == muster.OutcomeStored {
						mu.Lock()
						stored[fmt.Sprint(n, " ", seq)]++
						mu.Unlock()
					}
					if _, err := f.Counties(f.ctx, muster.View{}); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if len(stored) != hosts*reports {
		t.Errorf("%d reports stored, want %d", len(stored), hosts*reports)
	}
	for what, n := range stored {
		if n != 1 {
			t.Errorf("report %s stored %d times", what, n)
		}
	}
}

// crowd: many write, count and roll up at once, while time goes on. In the end the
// counts are those of the hosts.
func crowd(t *testing.T, f *fixture) {
	const sides, rounds = 4, 25
	var clock atomic.Int64
	clock.Store(f.now.UnixMicro())
	now := func() time.Time { return time.UnixMicro(clock.Add(1)).UTC() }
	s := f.open(t, store.Options{Now: now})
	defer func() { must(t, s.Close()) }()
	var all sync.WaitGroup
	try := func(what string, err error) {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for side := range sides {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(side), 9))
			seq := map[muster.HostID]uint64{}
			for round := range rounds {
				id := HostID(side*rounds + round/5)
				if round%5 == 0 {
					_, err := s.Enroll(f.ctx, muster.Enrolled{
						Host:      muster.Host{ID: id, Hostname: fmt.Sprint("pc", r.IntN(9)), County: someCounties[r.IntN(3)], Profile: muster.Workstation, Platform: muster.Linux},
						PublicKey: []byte("key of " + id), Agent: "1",
					}, r.IntN(3) > 0, f.now)
					try("enroll", err)
				}
				seq[id]++
				_, err := s.Commit(f.ctx, []muster.Accepted{f.report(id, seq[id], muster.Status(r.IntN(4)), muster.Status(r.IntN(4)))})
				try("commit", err)
				switch r.IntN(6) {
				case 0:
					try("approve", s.Approve(f.ctx, id, f.entry("approve", id)))
				case 1:
					clock.Add(int64(30 * time.Hour / time.Microsecond))
				case 2:
					try("expect", s.Expect(f.ctx, someCounties[r.IntN(3)], []muster.ExpectedHost{{Name: fmt.Sprint("pc", r.IntN(9))}}, f.entry("expect_hosts", "x")))
				case 3:
					try("roll up", s.Rollup(f.ctx, now().Add(-time.Hour)))
				default:
					_, err := s.Counties(f.ctx, muster.View{})
					try("counties", err)
					_, err = s.Controls(f.ctx, muster.View{At: time.UnixMicro(clock.Load()).Add(-time.Hour)}, "")
					try("controls", err)
				}
			}
		})
	}
	all.Wait()
	clock.Add(int64(time.Hour / time.Microsecond))
	wantCounted(t, f, s)
	must(t, s.Rollup(f.ctx, now()))
	wantCounted(t, f, s)
}

// wantCounted holds the counts of the present against a count of hosts and findings.
func wantCounted(t *testing.T, f *fixture, s store.Store) {
	t.Helper()
	counties := map[muster.County]muster.CountyStanding{}
	change := func(county muster.County, do func(*muster.CountyStanding)) {
		c := counties[county]
		c.County = county
		do(&c)
		counties[county] = c
	}
	controls := map[string]muster.ControlStanding{}
	failing := map[string]map[muster.County]bool{}
	for _, h := range pages(f.ctx, t, s, muster.View{}, muster.HostQuery{}) {
		if h.ReplacedBy != "" {
			continue
		}
		fails := false
		for _, finding := range get[[]muster.FindingStanding](t)(s.HostFindings(f.ctx, muster.View{}, h.ID)) {
			k := controls[finding.Control]
			k.Control = finding.Control
			bad := finding.Status == fail || finding.Status == unknown
			if n := map[muster.Status]*int{pass: &k.Pass, fail: &k.Fail, unknown: &k.Unknown, na: &k.NotApplicable}[finding.Status]; bad && finding.Waiver != "" {
				k.Waived++
			} else if *n++; finding.Status == fail {
				fails = fails || severityOf(finding.Control).Gates()
				if failing[k.Control] == nil {
					failing[k.Control] = map[muster.County]bool{}
				}
				if !h.Stale {
					failing[k.Control][h.County] = true
				}
				k.FailCounties = len(failing[k.Control])
			}
			if !h.Stale {
				controls[finding.Control] = k
			}
		}
		change(h.County, func(c *muster.CountyStanding) {
			c.Hosts++
			switch {
			case h.Stale:
				c.Stale++
			case h.Meets():
				c.Meeting++
			case fails:
				c.Failing++
			default:
				c.Unknown++
			}
			if h.Demo {
				c.Invented++
			}
		})
	}
	for _, h := range get[[]muster.HostStanding](t)(s.Pending(f.ctx, "")) {
		change(h.County, func(c *muster.CountyStanding) {
			c.Pending++
			if h.Demo {
				c.Invented++
			}
		})
	}
	for _, e := range get[[]muster.ExpectedHost](t)(s.Expected(f.ctx, muster.View{}, "")) {
		if e.Host == "" {
			change(e.County, func(c *muster.CountyStanding) { c.Missing++ })
		}
	}
	gotCounties, gotControls := map[muster.County]muster.CountyStanding{}, map[string]muster.ControlStanding{}
	for _, c := range get[[]muster.CountyStanding](t)(s.Counties(f.ctx, muster.View{})) {
		gotCounties[c.County] = c
	}
	for _, k := range get[[]muster.ControlStanding](t)(s.Controls(f.ctx, muster.View{}, "")) {
		gotControls[k.Control] = k
	}
	if diff := cmp.Diff(counties, gotCounties) + cmp.Diff(controls, gotControls); diff != "" {
		t.Errorf("- counted, + store:\n%s", diff)
	}
}

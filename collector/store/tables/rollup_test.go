package tables_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/collector/store/tables"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// history is three weeks of thirty hosts in three counties, some of which fall silent,
// with roll-ups at random instants. It returns instants of it and its last one.
func history(t *testing.T, r *rand.Rand, s *sqlite.Store, now *time.Time) (past []time.Time) {
	ctx, seq := t.Context(), map[muster.HostID]uint64{}
	var hosts []muster.HostID
	for n := range 30 {
		id := muster.NewHostID(fmt.Appendf(nil, "host %d", n))
		hosts = append(hosts, id)
		*now = now.Add(time.Minute)
		_, err := s.Enroll(ctx, muster.Enrolled{Host: muster.Host{ID: id, Hostname: fmt.Sprint("pc", n), Profile: muster.Workstation,
			County: muster.County(fmt.Sprintf("1700%d", n%3)), Platform: muster.Linux, Demo: n%7 == 0}}, n%5 != 0, *now)
		must(t, err)
	}
	for range 60 {
		*now = now.Add(time.Duration(r.Int64N(int64(16 * time.Hour))))
		for n, id := range hosts {
			if r.IntN(3) > 0 || n%4 == 0 && r.IntN(12) > 0 {
				continue
			}
			seq[id]++
			a := muster.Accepted{Header: muster.Header{Host: id, Seq: seq[id], Hostname: fmt.Sprint("pc", n), CollectedAt: *now, PolicyDigest: "p"}}
			a.Envelope.Seq, a.Envelope.Digest = seq[id], muster.Digest{byte(n), byte(seq[id])}
			for c := range 5 {
				v := muster.Verdict{Control: fmt.Sprint("C", c), Status: muster.Status(r.IntN(4))}
				if v.Waiver = ""; r.IntN(5) == 0 {
					v.Waiver = "W"
				}
				a.Verdicts = append(a.Verdicts, v)
			}
			a.Summary.MeetsBaseline, a.GateFails = r.IntN(2) == 0, r.IntN(2) == 0
			_, err := s.Commit(ctx, []muster.Accepted{a})
			must(t, err)
		}
		if r.IntN(3) == 0 {
			must(t, s.Rollup(ctx, now.Add(-time.Minute)))
		}
		past = append(past, now.Add(-time.Duration(r.Int64N(int64(9*24*time.Hour)))).Truncate(time.Microsecond))
	}
	return past
}

// counted is everything that roll-ups are made for.
func counted(t *testing.T, s store.Reader, v muster.View) map[string]any {
	t.Helper()
	ctx, all := t.Context(), map[string]any{}
	counties, err := s.Counties(ctx, v)
	must(t, err)
	slices.SortFunc(counties, func(a, b muster.CountyStanding) int { return cmp.Compare(a.County, b.County) })
	all["counties"] = counties
	for _, county := range []muster.County{"", "17001"} {
		controls, err := s.Controls(ctx, v, county)
		must(t, err)
		slices.SortFunc(controls, func(a, b muster.ControlStanding) int { return cmp.Compare(a.Control, b.Control) })
		all["controls "+string(county)] = controls
	}
	one, err := s.ControlCounties(ctx, v, "C1")
	must(t, err)
	slices.SortFunc(one, func(a, b muster.CountyControl) int { return cmp.Compare(a.County, b.County) })
	all["C1"] = one
	return all
}

// open opens the store of a folder.
func open(t *testing.T, dir string, now *time.Time) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), filepath.Join(dir, "store.db"), store.Options{Now: func() time.Time { return *now }})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// filled gives a store with a history, and instants of it.
func filled(t *testing.T, dir string, seed uint64) (s *sqlite.Store, now *time.Time, views []muster.View) {
	t.Helper()
	now = &time.Time{}
	*now = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	s = open(t, dir, now)
	for _, at := range history(t, rand.New(rand.NewPCG(seed, 1)), s, now) {
		views = append(views, muster.View{At: at}, muster.View{At: at, Known: muster.KnownNow})
	}
	return s, now, append(views, muster.View{})
}

// Counts by roll-ups and what changed since are those of counting every host.
func TestRollupsChangeNoAnswer(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			dir := t.TempDir()
			s, now, views := filled(t, dir, seed)
			must(t, s.Rollup(t.Context(), *now))
			var rolled []map[string]any
			for _, v := range views {
				rolled = append(rolled, counted(t, s, v))
			}
			must(t, s.Rollup(t.Context(), *now))
			must(t, s.Write(t.Context(), "forget roll-ups", func(tx tables.Querier) error {
				_, err := tx.ExecContext(context.WithoutCancel(t.Context()), `DELETE FROM rollups`)
				return err
			}))
			// One that is opened anew remembers nothing.
			anew := open(t, dir, now)
			for n, v := range views {
				if diff := gocmp.Diff(counted(t, anew, v), rolled[n]); diff != "" {
					t.Fatalf("%+v (- counted, + by roll-ups):\n%s", v, diff)
				}
			}
		})
	}
}

// What is listed in several ways is the same in each, in every view.
func TestListsAgree(t *testing.T) {
	s, _, views := filled(t, t.TempDir(), 7)
	ctx := t.Context()
	for _, v := range views {
		page, err := s.Hosts(ctx, v, muster.HostQuery{})
		must(t, err)
		var unmet, found, wanted []muster.FindingStanding
		var stale, quiet []muster.HostID
		for _, h := range page.Hosts {
			if h.Stale {
				stale = append(stale, h.ID)
			}
			findings, err := s.HostFindings(ctx, v, h.ID)
			must(t, err)
			replayed, current := map[string]muster.Status{}, map[string]muster.Status{}
			for _, f := range findings {
				current[f.Control] = f.Status
				if f.Status == muster.StatusFail || f.Status == muster.StatusUnknown {
					unmet = append(unmet, f)
					if f.Control == "C1" {
						wanted = append(wanted, f)
					}
				}
			}
			transitions, err := s.HostTransitions(ctx, v, h.ID, 0)
			must(t, err)
			for _, tr := range slices.Backward(transitions) {
				if from, ok := replayed[tr.Control]; ok == tr.First || from != tr.From {
					t.Fatalf("%+v: %+v after %v", v, tr, replayed)
				}
				replayed[tr.Control] = tr.To
			}
			if diff := gocmp.Diff(current, replayed); diff != "" {
				t.Fatalf("%+v: host %s (- findings, + transitions):\n%s", v, h.ID, diff)
			}
		}
		for county := range 3 {
			list, err := s.CountyFindings(ctx, v, muster.County(fmt.Sprintf("1700%d", county)))
			must(t, err)
			found = append(found, list...)
		}
		same(t, v, "findings", unmet, found, func(f muster.FindingStanding) string { return string(f.Host) + f.Control })
		counties := []muster.County{""}
		if v.Known == muster.KnownNow { // the state's are as of the day before
			counties = []muster.County{"17000", "17001", "17002"}
		}
		for _, county := range counties {
			list, err := s.Quiet(ctx, v, county, 0)
			must(t, err)
			for _, h := range list {
				quiet = append(quiet, h.ID)
			}
		}
		same(t, v, "quiet", stale, quiet, func(id muster.HostID) string { return string(id) })
		var some []muster.FindingStanding
		for q := (muster.HostQuery{Control: "C1", Limit: 4}); ; {
			page, err := s.Hosts(ctx, v, q)
			must(t, err)
			for _, h := range page.Hosts {
				some = append(some, *h.Finding)
			}
			if q.After = page.Next; page.Next == "" {
				break
			}
		}
		same(t, v, "hosts of C1", wanted, some, func(f muster.FindingStanding) string { return string(f.Host) })
		changes, err := s.Changes(ctx, v, "", 0)
		must(t, err)
		if !slices.IsSortedFunc(changes, func(a, b muster.Transition) int { return b.ReceivedAt.Compare(a.ReceivedAt) }) {
			t.Errorf("%+v: changes are not newest first", v)
		}
	}
}

func same[T any](t *testing.T, v muster.View, what string, want, got []T, key func(T) string) {
	t.Helper()
	order := func(a, b T) int { return cmp.Compare(key(a), key(b)) }
	slices.SortFunc(want, order)
	slices.SortFunc(got, order)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("%+v: %s:\n%s", v, what, diff)
	}
}

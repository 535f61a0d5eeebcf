package storetest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// answers to every question that has a view, by the question.
type answers map[string]any

// ask asks everything as of the view. Lists are sorted where the contract leaves their
// order open.
func ask(ctx context.Context, t *testing.T, r store.Reader, v muster.View, ids []muster.HostID) answers {
	t.Helper()
	all := answers{}
	counties := append([]muster.County{""}, someCounties...)
	keep(all, "counties", func(c muster.CountyStanding) string { return string(c.County) }, get[[]muster.CountyStanding](t)(r.Counties(ctx, v)))
	for _, c := range []string{"C0", "C5", ""} {
		keep(all, "counties of "+c, func(c muster.CountyControl) string { return string(c.County) + c.Control }, get[[]muster.CountyControl](t)(r.ControlCounties(ctx, v, c)))
	}
	forget := func(list []muster.HostStanding) []muster.HostStanding {
		for i := range list {
			list[i].AuditWanted = time.Time{} // is of the present alone
		}
		return list
	}
	hosts := func(q muster.HostQuery) {
		all[fmt.Sprintf("hosts %+v", q)] = forget(pages(ctx, t, r, v, q))
	}
	for _, county := range counties {
		of := " of " + string(county)
		keep(all, "controls"+of, func(c muster.ControlStanding) string { return c.Control }, get[[]muster.ControlStanding](t)(r.Controls(ctx, v, county)))
		keep(all, "expected"+of, nil, get[[]muster.ExpectedHost](t)(r.Expected(ctx, v, county)))
		keep(all, "changes"+of, nil, get[[]muster.Transition](t)(r.Changes(ctx, v, county, 1000)))
		keep(all, "quiet"+of, nil, forget(get[[]muster.HostStanding](t)(r.Quiet(ctx, v, county, 1000))))
		keep(all, "longest quiet"+of, nil, forget(get[[]muster.HostStanding](t)(r.Quiet(ctx, v, county, 1))))
		hosts(muster.HostQuery{County: county})
		if county == "" {
			continue
		}
		keep(all, "findings"+of, byHostAndControl, get[[]muster.FindingStanding](t)(r.CountyFindings(ctx, v, county)))
	}
	hosts(muster.HostQuery{Control: "C1", Limit: 2})
	hosts(muster.HostQuery{Control: "C2", County: someCounties[1]})
	hosts(muster.HostQuery{Policy: "p1"})
	keep(all, "newest changes", nil, get[[]muster.Transition](t)(r.Changes(ctx, v, "", 2)))
	for _, id := range ids {
		h, err := r.Host(ctx, v, id)
		if h.AuditWanted = (time.Time{}); errors.Is(err, fs.ErrNotExist) {
			all["host "+string(id)] = "is not there"
		} else {
			must(t, err)
			all["host "+string(id)] = h
		}
		keep(all, "findings of "+string(id), byHostAndControl, get[[]muster.FindingStanding](t)(r.HostFindings(ctx, v, id)))
		keep(all, "transitions of "+string(id), nil, get[[]muster.Transition](t)(r.HostTransitions(ctx, v, id, 1000)))
	}
	return all
}

func byHostAndControl(f muster.FindingStanding) string { return string(f.Host) + f.Control }

// keep keeps a list, in the order of key where there is one; none is an empty one.
func keep[T any](all answers, question string, key func(T) string, list []T) {
	if key != nil {
		slices.SortFunc(list, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	}
	all[question] = append([]T{}, list...)
}

// A failing seed is tried alone with -storetest.seed N -storetest.seeds 1.
var (
	firstSeed = flag.Uint64("storetest.seed", 1, "the first random history of the properties")
	seeds     = flag.Uint64("storetest.seeds", 2, "how many histories each property tries")
	steps     = flag.Int("storetest.steps", 40, "how long each history is")
)

// histories runs a property on several random histories.
func histories(t *testing.T, first *fixture, property func(*testing.T, *history)) {
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { property(t, newHistory(newFixture(t, first.open), seed)) })
	}
}

// asOf is the promise of every view: as of an instant, the store answers what it
// answered then.
func asOf(t *testing.T, f *fixture) {
	histories(t, f, func(t *testing.T, h *history) {
		type shown struct {
			at      time.Time
			answers answers
			hosts   int
		}
		var past []shown
		for i := range *steps {
			if h.step(); i%10 == 0 {
				wantCounted(t, h.fixture, h)
			}
			past = append(past, shown{h.now, ask(h.ctx, t, h, muster.View{}, h.ids()), len(h.fleet)})
		}
		for _, p := range past {
			if diff := cmp.Diff(p.answers, ask(h.ctx, t, h, muster.View{At: p.at}, h.ids()[:p.hosts])); diff != "" {
				t.Fatalf("as of %s (- what was shown then, + what is told now):\n%s", p.at.Format(time.RFC3339Nano), diff)
			}
		}
		h.wantDays(past[0].at)
	})
}

// wantDays: the roll-up of a day is what was shown at its end.
func (h *history) wantDays(from time.Time) {
	h.now = h.now.Add(48 * time.Hour)
	must(h.T, h.Rollup(h.ctx, h.now))
	for _, county := range append([]muster.County{""}, someCounties...) {
		days := get[[]muster.DayStanding](h.T)(h.Days(h.ctx, county, from, h.now))
		for day := from.Truncate(24 * time.Hour); day.Before(h.now.Add(-24 * time.Hour)); day = day.AddDate(0, 0, 1) {
			want := muster.CountyStanding{County: county}
			for _, c := range get[[]muster.CountyStanding](h.T)(h.Counties(h.ctx, muster.View{At: day.AddDate(0, 0, 1).Add(-time.Microsecond)})) {
				if county == "" || county == c.County {
					want.Add(c)
				}
			}
			i := slices.IndexFunc(days, func(d muster.DayStanding) bool { return d.Day.Equal(day) })
			var got muster.CountyStanding
			if got.County = county; i >= 0 {
				got = days[i].CountyStanding
			}
			if got != want {
				h.Errorf("the end of %s in %q is kept as %+v, was %+v", day.Format(time.DateOnly), county, got, want)
			}
		}
	}
}

func (h *history) ids() (list []muster.HostID) {
	for _, m := range h.fleet {
		list = append(list, m.id)
	}
	return list
}

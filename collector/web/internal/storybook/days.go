package storybook

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// recall invents how the counties stood on the days before: a little worse and with
// fewer hosts, the further back; a part of a month is not known.
func (b *Book) recall(now time.Time) {
	r := rand.New(rand.NewPCG(90, 56))
	b.Daily = map[muster.County][]muster.DayStanding{}
	counties, _ := b.Counties(context.Background(), muster.View{})
	slices.SortFunc(counties, func(x, y muster.CountyStanding) int { return strings.Compare(string(x.County), string(y.County)) })
	today := now.UTC().Truncate(24 * time.Hour)
	state := map[time.Time]muster.CountyStanding{}
	for _, c := range counties {
		c.Pending, c.Missing, c.Invented = 0, 0, c.Hosts
		for back := 1; back <= 120; back++ {
			switch x := r.Float64(); {
			case x < .03 && c.Meeting > 0:
				c.Meeting, c.Failing = c.Meeting-1, c.Failing+1
			case x < .05 && c.Failing > 1:
				c.Meeting, c.Failing = c.Meeting+1, c.Failing-1
			case x < .07 && c.Meeting > 0 && back > 2:
				c.Meeting, c.Stale = c.Meeting-1, c.Stale+1
			case x < .11 && c.Stale > 0:
				c.Meeting, c.Stale = c.Meeting+1, c.Stale-1
			case x < .12 && c.Hosts > 2 && c.Meeting > 0 && back > 40:
				c.Meeting, c.Hosts, c.Invented = c.Meeting-1, c.Hosts-1, c.Invented-1
			}
			if back >= 37 && back < 41 {
				continue
			}
			day := today.AddDate(0, 0, -back)
			b.Daily[c.County] = append(b.Daily[c.County], muster.DayStanding{Day: day, CountyStanding: c})
			sum := state[day]
			sum.Add(c)
			state[day] = sum
		}
		slices.Reverse(b.Daily[c.County])
	}
	for day, c := range state {
		b.Daily[""] = append(b.Daily[""], muster.DayStanding{Day: day, CountyStanding: c})
	}
	slices.SortFunc(b.Daily[""], func(x, y muster.DayStanding) int { return x.Day.Compare(y.Day) })
}

// spread makes something happen in several counties at once: what some hosts fail, they
// came to fail today.
func (b *Book) spread(now time.Time) {
	const control, most = "MVS-UPD-05", 5
	n := 0
	for _, f := range b.Findings {
		h, err := b.Host(context.Background(), muster.View{}, f.Host)
		if n == most || err != nil || h.Stale || f.Control != control || f.Status != muster.StatusFail || f.Waiver != "" {
			continue
		}
		at := now.Add(-time.Duration(40+25*n) * time.Minute)
		b.Transitions = append(b.Transitions, muster.Transition{Host: h.ID, Control: control, From: muster.StatusPass, To: f.Status,
			Seq: h.Seq, CollectedAt: at, ReceivedAt: at})
		n++
	}
}

// then is how counties stood at the end of the last day that had ended; of none where
// that is not known.
func (b *Book) then(v muster.View) (list []muster.CountyStanding) {
	for county, days := range b.Daily {
		for _, d := range slices.Backward(days) {
			if county != "" && !d.Day.AddDate(0, 0, 1).After(v.At.Add(time.Microsecond)) {
				list = append(list, d.CountyStanding)
				break
			}
		}
	}
	return list
}

// findings as they were: those of now, without what changed since.
func (b *Book) findings(v muster.View) []muster.FindingStanding {
	if v.Now() {
		return b.Findings
	}
	type key struct {
		host    muster.HostID
		control string
	}
	was := map[key]muster.Status{}
	for _, t := range b.Transitions {
		if t.ReceivedAt.After(v.At) && !t.First {
			was[key{t.Host, t.Control}] = t.From
		}
	}
	list := slices.Clone(b.Findings)
	for i, f := range list {
		if status, ok := was[key{f.Host, f.Control}]; ok {
			list[i].Status = status
		}
	}
	return list
}

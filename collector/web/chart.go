package web

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// trendDays is how far back a trend looks.
const trendDays = 90

// trend is how a county, or the state, stood at the end of each day. A page has one.
type trend struct {
	Start time.Time // the first day that it could tell of
	// First and Last day that it tells of, and the one with the smallest share that meets
	// the baseline; zero where there is none.
	First, Last, Lowest trendDay
	Weeks               []trendDay // one day a week, the newest first
	Top                 int        // of the scale, an even number
	Areas               []area     // of numbers of hosts, what is behind comes first
}

type trendDay struct {
	Day time.Time
	tally
}

// area is a shape whose height at a day is a sum of hosts, in days from the left and
// thousandths of the scale from the top. A day that is not known is a gap in it.
type area struct{ Mark, Path string }

// Days of the scale, and the one in its middle.
func (t *trend) Days() int         { return trendDays }
func (t *trend) Middle() time.Time { return t.Start.AddDate(0, 0, trendDays/2) }
func (t *trend) End() time.Time    { return t.Start.AddDate(0, 0, trendDays-1) }
func (t *trend) Half() int         { return t.Top / 2 }

// trend of a county, or with "" of the state, up to the last day that had ended.
func (s *server) trend(ctx context.Context, county muster.County) (*trend, error) {
	today := s.Now().UTC().Add(time.Microsecond).Truncate(24 * time.Hour) // a day that is asked for ends just before the next
	t := &trend{Start: today.AddDate(0, 0, -trendDays)}
	days, err := s.Reader.Days(ctx, county, t.Start, t.End())
	if err != nil {
		return nil, fmt.Errorf("read days: %w", err)
	}
	most := 0
	for i, d := range days {
		day := trendDay{d.Day, tallyOf(d.CountyStanding)}
		if most = max(most, d.Hosts); d.Hosts > 0 {
			if t.First.Day.IsZero() {
				t.First, t.Lowest = day, day
			}
			if day.share() < t.Lowest.share() {
				t.Lowest = day
			}
			t.Last = day
		}
		if (len(days)-1-i)%7 == 0 {
			t.Weeks = append([]trendDay{day}, t.Weeks...)
		}
	}
	if most == 0 {
		return t, nil
	}
	t.Top = scale(most)
	for _, a := range []struct {
		mark string
		sum  func(muster.CountyStanding) int
	}{
		{"stale", func(c muster.CountyStanding) int { return c.Hosts }},
		{"unknown", func(c muster.CountyStanding) int { return c.Meeting + c.Failing + c.Unknown }},
		{"fail", func(c muster.CountyStanding) int { return c.Meeting + c.Failing }},
		{"pass", func(c muster.CountyStanding) int { return c.Meeting }},
	} {
		t.Areas = append(t.Areas, area{a.mark, t.path(days, a.sum)})
	}
	return t, nil
}

// path of an area: a step for each day.
func (t *trend) path(days []muster.DayStanding, sum func(muster.CountyStanding) int) string {
	var b strings.Builder
	next, last := -1, -1
	for _, d := range days {
		x, y := int(d.Day.Sub(t.Start).Hours()/24), 1000-1000*sum(d.CountyStanding)/t.Top
		if x != next {
			if next >= 0 {
				b.WriteString("V1000z")
			}
			fmt.Fprintf(&b, "M%d 1000", x)
			last = -1
		}
		if y != last {
			fmt.Fprintf(&b, "V%d", y)
		}
		fmt.Fprintf(&b, "h1")
		next, last = x+1, y
	}
	b.WriteString("V1000z")
	return b.String()
}

// scale is a round even number that is no less than n.
func scale(n int) int {
	for tens := 1; ; tens *= 10 {
		for _, m := range []int{2, 4, 6, 8, 10, 12, 16, 20, 24, 30, 40, 50, 60, 80} {
			if m*tens >= n {
				return m * tens
			}
		}
	}
}

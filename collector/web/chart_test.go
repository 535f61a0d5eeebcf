package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

func TestTrend(t *testing.T) {
	day := func(back, meeting, failing, unknown, stale int) muster.DayStanding {
		return muster.DayStanding{Day: now.Truncate(24*time.Hour).AddDate(0, 0, -back), CountyStanding: muster.CountyStanding{
			Hosts: meeting + failing + unknown + stale, Meeting: meeting, Failing: failing, Unknown: unknown, Stale: stale}}
	}
	page := func(days ...muster.DayStanding) (document, string) {
		b, _ := one(func(_ *muster.HostStanding, b *storybook.Book) {
			b.Daily = map[muster.County][]muster.DayStanding{"": days}
		})
		h := mustNew(t, b, b.Catalogue)
		return open(t, h, "/"), get(h, "/").Body.String()
	}

	d, svg := page(day(90, 2, 1, 1, 0), day(89, 1, 1, 1, 1), day(88, 1, 1, 1, 1), day(2, 3, 1, 0, 0), day(1, 4, 0, 0, 0))
	d.has(t, "On 5 August 2 of 4 computers met the baseline, on 2 November 4 of 4. The smallest share was 1 of 4 on 6 August.",
		"5 Aug 19 Sep 2 Nov", "2 Nov 4 0 0 0")
	// A step for each day, and a gap where days are not known.
	for mark, path := range map[string]string{
		"pass":    "M0 1000V500h1V750h1h1V1000zM88 1000V250h1V0h1V1000z",
		"fail":    "M0 1000V250h1V500h1h1V1000zM88 1000V0h1h1V1000z",
		"unknown": "M0 1000V0h1V250h1h1V1000zM88 1000V0h1h1V1000z",
		"stale":   "M0 1000V0h1h1h1V1000zM88 1000V0h1h1V1000z",
	} {
		if !strings.Contains(svg, `id="t-`+mark+`" clipPathUnits="objectBoundingBox"><path transform="scale(.0111112 .001)" d="`+path+`"/>`) {
			t.Errorf("the area %s is not %s", mark, path)
		}
	}

	d, _ = page(day(1, 0, 103, 0, 0))
	d.has(t, "On 2 November 0 of 103 computers met the baseline.", "120 60 0")
	d, _ = page(day(1, 0, 0, 0, 0))
	d.has(t, "There is no day to show yet.")
	d, _ = page()
	d.has(t, "There is no day to show yet.")
}

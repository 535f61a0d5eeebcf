package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/internal/fips"
)

// mapped is a book with so many meeting, failing, unknown and stale hosts in counties.
func mapped(of map[muster.County][4]int) *storybook.Book {
	b := &storybook.Book{}
	for county, hosts := range of {
		for standing, n := range hosts {
			for range n {
				id := muster.NewHostID([]byte{byte(len(b.Fleet))})
				b.Fleet = append(b.Fleet, muster.HostStanding{Host: muster.Host{ID: id, Hostname: "PC", County: county}, State: muster.HostActive, Seq: 1,
					LastSeen: now, Stale: standing == 3, Summary: muster.Summary{MeetsBaseline: standing == 0}})
				if standing == 1 {
					b.Findings = append(b.Findings, muster.FindingStanding{Host: id, Control: "MVS-ENC-01", Status: muster.StatusFail, Since: now})
				}
			}
		}
	}
	return b
}

func TestMap(t *testing.T) {
	b := mapped(map[muster.County][4]int{
		"56001": {4, 0, 0, 0}, "56003": {3, 1, 0, 0}, "56005": {2, 2, 0, 0}, "56007": {1, 3, 0, 0}, "56009": {0, 4, 0, 0}, "56011": {1, 1, 0, 0},
		"56013": {1, 0, 1, 2}, "56021": {7, 1, 0, 1}, "08001": {1, 0, 0, 0},
	})
	h := mustNew(t, b, nil)
	d := open(t, h, "/")
	d.has(t, "Laramie County: 7 of 9 computers meet the baseline, 1 not heard from", "Fremont County: 1 of 4 computers meets the baseline, 2 not heard from",
		"Teton County: no computer reports", "all meet: 1 county", "75 to 99%: 2 counties", "50 to 74%: 2 counties", "25 to 49%: 1 county", "under 25%: 1 county",
		"mostly silent or not known: 1 county", "no computers: 15 counties", "Not on the map: Adams County")
	page := get(h, "/").Body.String()
	for county, shade := range map[string]string{"56001": "m5", "56003": "m4", "56005": "m3", "56007": "m2", "56009": "m1", "56011": "m3", "56013": "mdim", "56021": "m4", "56039": "mnone"} {
		if !strings.Contains(page, `<a href="/counties/`+county+`" class="`+shade+`"><text>`) {
			t.Errorf("county %s has not the shade %s", county, shade)
		}
	}
	for _, county := range fips.Counties("56") {
		if !strings.Contains(page, `<a href="/counties/`+string(county)+`" class="m`) {
			t.Errorf("the map has no link to %s", county)
		}
	}

	// The state is that of the options, where they name one.
	other, err := web.New(web.Options{Reader: b, State: "08", Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	open(t, other, "/").has(t, "Adams County: 1 of 1 computer meets the baseline", "Not on the map: ", "Big Horn County")

	// Counties of no state have no map.
	open(t, mustNew(t, mapped(map[muster.County][4]int{"99001": {1, 0, 0, 0}}), nil), "/").hasNot(t, "Skip the map")
}

// TestMapContrast: each shade stands out from the lines between counties, and from its
// neighbours of the scale; the weakest is furthest from all is well.
func TestMapContrast(t *testing.T) {
	css := get(mustNew(t, &storybook.Book{}, nil), "/static/muster.css").Body.String()
	light, rest, _ := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "\n}\n")
	for theme, colour := range map[string]map[string]string{"light": tokens(light), "dark": tokens(dark)} {
		shades := []string{"map-all", "map-most", "map-half", "map-few", "map-least"}
		for i, shade := range shades {
			if ratio, err := contrast(colour[shade], colour["paper"]); err != nil || ratio < 3 {
				t.Errorf("%s: %s on paper is %.2f, want 3 (%v)", theme, shade, ratio, err)
			}
			if i == 0 {
				continue
			}
			if ratio, err := contrast(colour[shade], colour[shades[i-1]]); err != nil || ratio < 1.3 {
				t.Errorf("%s: %s beside %s is %.2f, want 1.3 (%v)", theme, shade, shades[i-1], ratio, err)
			}
		}
		if ratio, err := contrast(colour["map-all"], colour["map-least"]); err != nil || ratio < 3 {
			t.Errorf("%s: the ends of the scale are %.2f apart, want 3 (%v)", theme, ratio, err)
		}
	}
}

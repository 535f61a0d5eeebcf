package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
)

func TestQuiet(t *testing.T) {
	b, _ := one(nil)
	silent := func(name string, county muster.County, p muster.Profile, days int) {
		h := b.Fleet[0]
		h.ID, h.Hostname, h.County, h.Profile, h.Stale = muster.NewHostID([]byte(name)), name, county, p, true
		if h.LastSeen = (time.Time{}); days > 0 {
			h.LastSeen = now.AddDate(0, 0, -days)
		}
		b.Fleet = append(b.Fleet, h)
	}
	silent("LATE-01", "56021", muster.Workstation, 9)
	silent("EMS-01", "56001", muster.EMS, 50)
	silent("NEVER-01", "56001", muster.Workstation, 0)
	b.Absent = []muster.ExpectedHost{{County: "56021", Name: "CLERK-09", Profile: muster.Workstation, Note: "at the counter", Since: now.AddDate(0, -1, 0)},
		{County: "56021", Name: "CLERK-01", Host: b.Fleet[0].ID, Since: now}, {County: "56003", Name: "GONE-01", Since: now}}
	h := mustNew(t, b, b.Catalogue)
	inOrder(t, open(t, h, "/quiet").Text, "3 computers not heard from", "within 7 days, an election management system within 45 days",
		"NEVER-01 Albany County Workstation, Windows never", "EMS-01 Albany County Election management system, Windows 50 days ago 5 days", "LATE-01 Laramie County Workstation, Windows 9 days ago 2 days",
		"Expected and missing", "GONE-01 Big Horn County not said 3 November 2026", "CLERK-09 at the counter Laramie County Workstation 3 October 2026")
	d := open(t, h, "/quiet?county=56021")
	d.has(t, "1 computer not heard from", "LATE-01", "CLERK-09")
	d.hasNot(t, "EMS-01", "GONE-01", "CLERK-01 ")
	open(t, h, "/quiet?county=56003").has(t, "No computer reports yet", "GONE-01")

	well, _ := one(nil)
	open(t, mustNew(t, well, well.Catalogue), "/quiet").has(t, "Every computer has reported in time", "Every computer that a county says it has is here.")
	open(t, mustNew(t, well, well.Catalogue), "/quiet?as_of=2026-11-01").has(t, "As it was shown on 1 November 2026")
}

// However many there are, a page is bounded and says what is left out.
func TestQuietIsBounded(t *testing.T) {
	b, _ := one(nil)
	for i := range 230 {
		h := b.Fleet[0]
		h.ID, h.Stale, h.LastSeen = muster.NewHostID([]byte{1, byte(i)}), true, now.AddDate(0, 0, -8)
		b.Fleet = append(b.Fleet, h)
	}
	for county := 1; county < 80; county += 2 {
		for n := range 7 {
			b.Absent = append(b.Absent, muster.ExpectedHost{County: muster.County(fmt.Sprintf("48%03d", county)), Name: fmt.Sprint("PC-", n), Since: now})
		}
	}
	h := mustNew(t, b, b.Catalogue)
	d := open(t, h, "/quiet")
	d.has(t, "230 computers not heard from", "The first 40 of 280, in 40 counties. Choose a county to see the others.")
	seen, pages := map[string]bool{}, 0
	for path := "/quiet"; path != ""; pages++ {
		d := open(t, h, path)
		path = ""
		for _, l := range d.Links {
			switch {
			case strings.HasPrefix(l, "/hosts/"):
				seen[l] = true
			case strings.HasPrefix(l, "/quiet?after="):
				path = l
			}
		}
	}
	if len(seen) != 230 || pages != 4 {
		t.Errorf("%d of 230 computers on %d pages", len(seen), pages)
	}
	open(t, h, "/quiet?after=180").hasNot(t, "Expected and missing")
	for i := range 150 {
		b.Absent = append(b.Absent, muster.ExpectedHost{County: "48001", Name: fmt.Sprint("LATE-", i), Since: now})
	}
	for i := range 3000 {
		h := b.Fleet[1]
		h.ID = muster.NewHostID([]byte{2, byte(i), byte(i >> 8)})
		b.Fleet = append(b.Fleet, h)
	}
	d = open(t, h, "/quiet?county=48001")
	d.has(t, "The first 100 of 157, by name.", "A file for a spreadsheet has all of them.")
	d.hasNot(t, "Choose a county")
	open(t, h, "/quiet?after=2940").has(t, "The next computers")
	open(t, h, "/quiet?after=3000").has(t, "170 computers more. Choose a county to see the others.")
	open(t, h, "/quiet?county=56021&after=3000").has(t, "170 computers more. A file for a spreadsheet has all of them.")
	for _, after := range []string{"-1", "x", "99999999"} {
		if d := open(t, h, "/quiet?after="+after); d.Code != http.StatusNotFound {
			t.Errorf("after %s: %d", after, d.Code)
		}
	}
}

package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

func TestControlAcrossTheState(t *testing.T) {
	b := mapped(map[muster.County][4]int{"56001": {0, 3, 0, 1}, "56003": {0, 1, 0, 0}, "56021": {2, 0, 0, 0}})
	for _, h := range b.Fleet { // those of mapped that meet pass it
		if h.County == "56021" {
			b.Findings = append(b.Findings, muster.FindingStanding{Host: h.ID, Control: "MVS-ENC-01", Status: muster.StatusPass, Since: now})
		}
	}
	b.Findings[0].Status, b.Findings[1].Waiver = muster.StatusUnknown, "W-1"
	b.Catalogue = []muster.Control{{ID: "MVS-ENC-01", Title: "The disk is encrypted", Why: "A stolen laptop is a breach.", Remedy: "Switch it on.", Severity: muster.SeverityCritical}}
	h := seenBy(t, b, officer)
	d := open(t, h, "/controls/MVS-ENC-01")
	inOrder(t, d.Text, "The disk is encrypted Fails on 2 of 6 computers, in ", "2 pass", "1 could not be checked", "1 waived", "Across the state", "Laramie County: passes on 2 of 2 computers",
		"passes on all: 1 county", "Why it matters A stolen laptop is a breach. What to do Switch it on.", "Where it is not met", "Fail Not checked", " 1 computer not heard from is left out.", "What it answers")
	d.has(t, "Albany County: passes on 0 of ", "Teton County: not asked")
	for _, county := range []string{"56001", "56003", "56021", "56039"} { // of the map
		if !slices.Contains(d.Links, "/controls/MVS-ENC-01?county="+county) {
			t.Errorf("no way to the control in county %s", county)
		}
	}
	// In the past every link stays there.
	for _, l := range open(t, h, "/controls/MVS-ENC-01?as_of=2026-11-02").Links {
		if strings.HasPrefix(l, "/controls/") && !strings.Contains(l, "as_of=2026-11-02") && l != "/controls/MVS-ENC-01" {
			t.Errorf("%s leads to now", l)
		}
	}
}

// Who reads one county is told of the control there, and of nothing elsewhere.
func TestControlInACounty(t *testing.T) {
	b := office(3, map[string][]int{"MVS-ENC-01": {1, 3}})
	other := b.Fleet[0]
	other.ID, other.Hostname, other.County = muster.NewHostID([]byte("other")), "ALBANY-01", "56001"
	b.Fleet = append(b.Fleet, other)
	b.Findings = append(b.Findings, muster.FindingStanding{Host: other.ID, Control: "MVS-ENC-01", Status: muster.StatusFail, Since: now},
		muster.FindingStanding{Host: other.ID, Control: "THEIR-1", Status: muster.StatusFail, Since: now})
	b.Fleet[2].Stale = true
	b.Catalogue[3].Lists = []string{"attestations"}
	waiver := func(id string, county muster.County, host muster.HostID, days int) muster.Waiver {
		return muster.Waiver{ID: id, Control: "MVS-ENC-01", County: county, Host: host, Reason: "reason " + id, Approver: "officer", Approved: now.AddDate(0, 0, -40), Expires: now.AddDate(0, 0, days)}
	}
	b.Asked = []muster.Ask{{County: "56001", Control: "MVS-ENC-01", Reason: "ask of theirs"}, {County: "56021", Control: "MVS-ENC-01", Reason: "ask of ours"}}
	words := func(o *web.Options) {
		o.May = door.May
		o.Waivers = []muster.Waiver{waiver("W-ended", "56021", "", -3), waiver("W-all", "", "", 9), waiver("W-ours", "56021", "", 5), waiver("W-our-host", "", b.Fleet[0].ID, 7),
			waiver("W-theirs", "56001", "", 5), waiver("W-their-host", "", other.ID, 7), waiver("W-nobody", "", muster.NewHostID([]byte("nobody")), 7)}
		o.Attestations = []muster.Attestation{{ID: "A-ours", Claim: "restore_tested", County: "56021", On: now, Until: now.AddDate(0, 1, 0)}, {ID: "A-theirs", Claim: "restore_tested", County: "56001", On: now, Until: now.AddDate(0, 1, 0)}}
	}
	for _, who := range []web.Person{clerk, officer} {
		d := open(t, seenBy(t, b, who, words), "/controls/MVS-ENC-01?county=56021")
		inOrder(t, d.Text, "Fails on 1 of 2 computers of Laramie County.", "1 passes 1 fails", "Why it matters Because MVS-ENC-01 What to do Switch on BitLocker.", "On Linux: Set it up anew with LUKS.",
			"Computers of Laramie County, those that fail first.", "CLERK-01 Fails", "CLERK-03 Fails not heard from, not counted",
			"Waivers", "For Laramie County: reason W-ours Until 8 November 2026, in 5 days", "For CLERK-01: reason W-our-host", "For every computer: reason W-all", "For Laramie County: reason W-ended Ended 3 days ago", "A-ours", "ask of ours")
		d.hasNot(t, "ALBANY", "Albany", "theirs", "W-their-host", "W-nobody", "Across the state")
		if slices.Contains(d.Links, "/controls/MVS-ENC-01") != (who.Role != "") {
			t.Errorf("%q: the way to the state is wrong: %v", who.Role, d.Links)
		}
		if strings.Contains(get(seenBy(t, b, who, words), "/controls/MVS-ENC-01?county=56021").Body.String(), "56001") {
			t.Errorf("%q is told of 56001", who.Role)
		}
	}
	// Without a county, one that is not theirs, and a control that only others have.
	h := seenBy(t, b, clerk, words)
	open(t, h, "/controls/MVS-ENC-01").has(t, "of Laramie County")
	for _, path := range []string{"/controls/MVS-ENC-01?county=56001", "/controls/MVS-ENC-01?county=x", "/controls/THEIR-1", "/controls/THEIR-1?county=56021"} {
		if d := open(t, h, path); d.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, d.Code)
		}
	}
	if d := open(t, seenBy(t, b, officer, words), "/controls/THEIR-1"); d.Code != http.StatusOK {
		t.Errorf("a control of a policy that is not in force: %d", d.Code)
	}
	open(t, h, "/controls/LOCAL-1").has(t, "Fails nowhere in Laramie County among 2 computers.", "Nowhere in Laramie County.")
	open(t, seenBy(t, b, officer, words), "/controls/LOCAL-1?county=56039").has(t, "No computer of Teton County has been asked yet.", "Nowhere so far.")
}

func TestControlOnManyComputers(t *testing.T) {
	var all []int
	for n := range 130 {
		all = append(all, n+1)
	}
	b := office(130, map[string][]int{"MVS-ENC-01": all})
	h := seenBy(t, b, officer)
	open(t, h, "/controls/MVS-ENC-01").has(t, "Laramie County CLERK-01, CLERK-02, CLERK-03", " more 130 of 130 0")
	page, seen, pages := "/controls/MVS-ENC-01?county=56021", map[string]bool{}, 0
	for page != "" {
		d := open(t, h, page)
		d.has(t, fmt.Sprintf("%d computers of Laramie County, of these those that fail first.", min(50, 130-50*pages)))
		if pages++; pages > 1 {
			d.has(t, "What it is, and what to do about it")
			d.hasNot(t, "How it is checked")
		}
		page = ""
		for _, l := range d.Links {
			if strings.HasPrefix(l, "/hosts/") {
				seen[l] = true
			} else if strings.Contains(l, "after=") {
				page, _, _ = strings.Cut(l, "#")
			}
		}
	}
	if len(seen) != 130 || pages != 3 {
		t.Errorf("%d computers on %d pages", len(seen), pages)
	}
	// Many counties: the first in full, the others in short.
	wide := &storybook.Book{}
	for _, county := range []string{"01", "03", "05", "07", "09", "11", "13", "15", "17", "19", "21", "23", "25", "27"} {
		one := mapped(map[muster.County][4]int{muster.County("560" + county): {0, 1, 0, 0}})
		one.Fleet[0].ID = muster.NewHostID([]byte(county))
		one.Findings[0].Host = one.Fleet[0].ID
		wide.Fleet, wide.Findings = append(wide.Fleet, one.Fleet...), append(wide.Findings, one.Findings...)
	}
	open(t, seenBy(t, wide, officer), "/controls/MVS-ENC-01").has(t, "The 8 counties with most failing computers.", "6 counties more, in the same order", "1 fails", "The current policy does not hold this control")
}

// What a week and a month ago were is told where it is known.
func TestControlThen(t *testing.T) {
	b := storybook.Example(now)
	open(t, seenBy(t, b, officer), "/controls/MVS-UPD-05").has(t, "A week before, it failed on ", "30 days before, it failed on ")
}

package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// office is a county with hosts CLERK-01, CLERK-02, … on which controls fail.
func office(hosts int, fails map[string][]int) *storybook.Book {
	control := func(id, title string, sev muster.Severity, remedy string) muster.Control {
		return muster.Control{ID: id, Title: title, Why: "Because " + id, Severity: sev, Remedy: remedy, Platforms: []muster.Platform{muster.Windows, muster.Linux}}
	}
	b := &storybook.Book{Catalogue: []muster.Control{
		control("MVS-UPD-02", "Updates are installed", muster.SeverityCritical, "Install what is offered."),
		control("MVS-UPD-03", "Updates come by themselves", muster.SeverityHigh, "Install what is offered."),
		control("MVS-UPD-04", "It was restarted", muster.SeverityMedium, "Restart it today."),
		control("MVS-ENC-01", "The disk is encrypted", muster.SeverityCritical, "Switch on BitLocker."),
		control("MVS-ACC-03", "Guest is off", muster.SeverityHigh, "Disable Guest."),
		control("LOCAL-1", "A rule of this state", muster.SeverityMedium, "Do as the state says."),
	}}
	b.Catalogue[3].Remedies = map[muster.Platform]string{muster.Linux: "Set it up anew with LUKS."}
	for n := range hosts {
		h := muster.HostStanding{Host: muster.Host{ID: muster.NewHostID(fmt.Append(nil, "office", n)), Hostname: fmt.Sprintf("CLERK-%02d", n+1),
			County: "56021", Profile: muster.Workstation, Platform: muster.Windows}, State: muster.HostActive, Seq: 5, LastSeen: now.Add(-time.Hour), CollectedAt: now.Add(-time.Hour)}
		if n == 3 {
			h.Platform = muster.Linux
		}
		var judged []muster.Finding
		for _, c := range b.Catalogue {
			f := muster.FindingStanding{Host: h.ID, Control: c.ID, Status: muster.StatusPass, Since: now}
			if slices.Contains(fails[c.ID], n+1) {
				f.Status = muster.StatusFail
			}
			b.Findings = append(b.Findings, f)
			judged = append(judged, muster.Finding{Severity: c.Severity, Status: f.Status})
		}
		h.Summary = muster.Summarize(judged)
		b.Fleet = append(b.Fleet, h)
	}
	return b
}

func TestOneActionClearsMany(t *testing.T) {
	b := office(9, map[string][]int{"MVS-UPD-02": {1, 2}, "MVS-UPD-03": {2, 3}, "MVS-UPD-04": {5}, "MVS-ENC-01": {1, 4}, "LOCAL-1": {1, 2, 3, 4}})
	d := open(t, mustNew(t, b, b.Catalogue), "/counties/56021")
	inOrder(t, d.Text, "5 of 9 computers meet the baseline. Two things to fix first:",
		"Bring everything up to date Fails: Updates are installed critical on CLERK-01, CLERK-02 What to do Install what is offered.",
		"Fails: Updates come by themselves high on CLERK-02, CLERK-03 What to do The same as above.",
		"In the same go, 1 smaller thing Fails: It was restarted on CLERK-05 What to do Restart it today.",
		"On 4 computers CLERK-01, CLERK-02, CLERK-03, CLERK-05 Clears 5 findings, 4 of them urgent",
		"Fails: The disk is encrypted critical What to do on Windows Switch on BitLocker. What to do on Linux Set it up anew with LUKS. On 2 computers CLERK-01, CLERK-04",
		"5 meet the baseline", "Each computer, those that need something first.", "CLERK-01 Does not meet 2 urgent, 1 less urgent",
		"Then", "A rule of this state 4 computers, medium", "Fails on CLERK-01, CLERK-02, CLERK-03, CLERK-04. Why it matters What to do Do as the state says.")

	// What clears most of what matters comes first, and no more than three.
	b = office(9, map[string][]int{"MVS-ENC-01": {1}, "MVS-ACC-03": {1, 2, 3}, "LOCAL-1": {1, 2, 3, 4, 5, 6}, "MVS-UPD-03": {1, 2}})
	inOrder(t, open(t, mustNew(t, b, b.Catalogue), "/counties/56021").Text, "Three things to fix first:", "Guest is off", "Updates come by themselves", "The disk is encrypted", "Then", "A rule of this state")
}

// Who reads the county only is led nowhere where nobody lets them in.
func TestCountyForItsOwnPeople(t *testing.T) {
	b := office(3, map[string][]int{"MVS-ENC-01": {1}, "LOCAL-1": {2}})
	b.Fleet = append(b.Fleet, muster.HostStanding{Host: muster.Host{ID: muster.NewHostID([]byte("waiting")), County: "56021"}, State: muster.HostPending})
	clerk := func(*http.Request) web.Person { return web.Person{Counties: []muster.County{"56021"}} }
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Now: func() time.Time { return now }, Who: clerk, May: door.May})
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, h, "/counties/56021")
	d.has(t, "One thing to fix first: Fails: The disk is encrypted critical What to do Switch on BitLocker. On 1 computer CLERK-01", "Print the scorecard", "Nobody of this county is on file.")
	d.hasNot(t, "Change contacts", "Add who to call")
	for _, l := range d.Links {
		if strings.HasPrefix(l, "/controls/") && !strings.HasSuffix(l, "?county=56021") || strings.HasSuffix(l, "/edit") {
			t.Errorf("a clerk is led to %s", l)
		}
	}
	open(t, h, "/counties/56021/scorecard").has(t, "2 of 3 computers meet the baseline.")
}

func TestCountyOfManyComputers(t *testing.T) {
	var all, some []int
	for n := range 250 {
		if all = append(all, n+1); n%2 == 0 {
			some = append(some, n+1)
		}
	}
	b := office(250, map[string][]int{"MVS-ENC-01": some, "MVS-UPD-02": {7}, "MVS-UPD-03": {7, 9}, "MVS-ACC-03": some, "LOCAL-1": all})
	b.Findings[3].Waiver = "W-1"
	b.Waivers = []muster.Waiver{{ID: "W-1", Control: "MVS-ENC-01", Host: b.Fleet[0].ID, Reason: "It goes away.", Approver: "officer", Approved: now.AddDate(0, 0, -1), Expires: now.AddDate(0, 1, 0)}}
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Waivers: b.Waivers, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, h, "/counties/56021")
	d.has(t, "125 of 250 computers meet the baseline. Three things to fix first:",
		"What to do on Windows Switch on BitLocker. What to do on Linux Set it up anew with LUKS. On 124 computers CLERK-03, CLERK-05",
		"Bring everything up to date Fails: Updates are installed critical on CLERK-07", "Updates come by themselves high on 2 computers", "On at least 2 computers CLERK-07 and 1 more Clears 3 findings", "and 120 more",
		"30 of 250 computers, of these the ones that need something first.", "A rule of this state 250 computers, medium",
		"The disk is encrypted waived on 1 computer It goes away. Until 3 December 2026, by officer.")
	seen := map[string]int{}
	for pages := 1; ; pages++ {
		next := ""
		for _, l := range d.Links {
			if strings.HasPrefix(l, "/hosts/") && pages > 1 {
				seen[l]++
			}
			if strings.Contains(l, "?after=") {
				next = l
			}
		}
		if next == "" {
			break
		}
		next, _, _ = strings.Cut(next, "#")
		if d = open(t, h, next); d.Code != http.StatusOK {
			t.Fatalf("%s answers %d", next, d.Code)
		}
		d.hasNot(t, "to fix first:", "Who to call")
	}
	if len(seen) != 220 {
		t.Errorf("the later pages name %d computers, not 220", len(seen))
	}
	open(t, h, "/counties/56021/scorecard").has(t, "The disk is encrypted on 124 computers, clears 124 findings", "CLERK-03, CLERK-05, CLERK-07, CLERK-09 and 120 more",
		"Does not meet 125", "A rule of this state on 250 computers, clears 250 findings Do as the state says. Computers", "Excused for now The disk is encrypted on 1 computer, until 3 December 2026")
}

func TestHowReportsWereCarried(t *testing.T) {
	b, id := one(func(h *muster.HostStanding, _ *storybook.Book) {
		h.Profile, h.LastSeen, h.CollectedAt = muster.EMS, now.AddDate(0, 0, -9), now.AddDate(0, 0, -10)
	})
	step := func(act, file string, from uint64, ago time.Duration) muster.CustodyEvent {
		return muster.CustodyEvent{At: now.Add(-ago), Act: act, By: string(id), File: file, Host: id, From: from, To: from}
	}
	const day = 24 * time.Hour
	b.Steps = map[muster.HostID][]muster.CustodyEvent{id: {
		step(muster.CustodyWrote, "aaaaaaaaaaaaaaaa", 2, 40*day), step(muster.CustodyReceived, "aaaaaaaaaaaaaaaa", 2, 39*day), step(muster.CustodyReturned, "aaaaaaaaaaaaaaaa", 2, 38*day),
		step(muster.CustodyWrote, "bbbbbbbbbbbbbbbb", 3, 10*day), step(muster.CustodyReceived, "bbbbbbbbbbbbbbbb", 3, 9*day)}}
	b.Reports = map[muster.HostID][]muster.ReportStanding{id: {{Host: id, Seq: 3, Way: muster.WayCourier}}}
	h := mustNew(t, b, b.Catalogue)
	d := open(t, h, "/counties/56021")
	d.has(t, "CLERK-01 The last report came on a stick 9 days ago. The next must come by 9 December 2026.",
		"Written to the stick 10 days ago Taken in by the state 9 days ago Its receipts are not back on the computer.")
	d.hasNot(t, "40 days ago")

	b.Steps[id] = append(b.Steps[id], step(muster.CustodyReturned, "bbbbbbbbbbbbbbbb", 3, day))
	d = open(t, h, "/counties/56021")
	d.has(t, "Receipts back on the computer 24 hours ago")
	d.hasNot(t, "receipts are not back")
	open(t, h, "/counties/56021?as_of=2026-11-01").has(t, "Its receipts were not back on the computer.") // that came the day after

	b.Fleet[0].Stale, b.Fleet[0].LastSeen = true, now.AddDate(0, 0, -50)
	b.Reports[id][0].Way = muster.WayUplink
	open(t, h, "/counties/56021").has(t, "The last report came over the network 50 days ago. The next is overdue since 29 October 2026.")
	b.Fleet[0].Seq = 0
	open(t, h, "/counties/56021").has(t, "CLERK-01 No report has come yet.")
}

// Few of many: the county's election management systems tell how their reports came,
// however many workstations there are, and a page lists them all.
func TestCarriersOfALargeCounty(t *testing.T) {
	b := office(120, nil)
	for i := range b.Fleet {
		if i >= 100 {
			b.Fleet[i].Profile, b.Fleet[i].Hostname, b.Fleet[i].Stale = muster.EMS, fmt.Sprintf("EMS-%03d", i), i == 119
		}
	}
	h := mustNew(t, b, b.Catalogue)
	d := open(t, h, "/counties/56021")
	_, told, _ := strings.Cut(d.Text, "Reports of election management systems")
	inOrder(t, told, "EMS-119", "EMS-100", "EMS-104", "And 14 more. Their pages tell how theirs came: all election management systems")
	if strings.Contains(told, "EMS-105") || !slices.Contains(d.Links, "/counties/56021?profile=ems#computers") {
		t.Errorf("told of %s, and links %v", told, d.Links)
	}
	d = open(t, h, "/counties/56021?profile=ems")
	d.has(t, "Computers of one kind: Election management system.", "EMS-100", "EMS-119")
	d.hasNot(t, "CLERK-")
	if d := open(t, h, "/counties/56021?profile=mainframe"); d.Code != http.StatusNotFound {
		t.Errorf("a kind that is none: %d", d.Code)
	}
}

func TestWhoToCallAndWhatIsExcused(t *testing.T) {
	b := office(2, map[string][]int{"LOCAL-1": {1, 2}, "MVS-ENC-01": {2}})
	for i := range b.Findings {
		if b.Findings[i].Control == "LOCAL-1" {
			b.Findings[i].Waiver = "W-7"
		}
	}
	b.People = map[muster.County][]muster.Contact{"56021": {
		{Name: "Dana", Duty: "County clerk", Phone: "+1 (307) 555-0142", Email: "clerk@laramie.example"},
		{Name: "Desk", Phone: "307 555 0100 ext. 5", Email: "x@y.example?cc=z@y.example"},
	}}
	b.Asked = []muster.Ask{{ID: 2, County: "56021", Control: "MVS-ENC-01", Reason: "A new one is ordered.", Until: now.AddDate(0, 1, 0), State: muster.AskOpen},
		{ID: 1, County: "56021", Control: "LOCAL-1", Reason: "No.", Until: now, State: muster.AskDeclined}, {County: "56001", Reason: "Another's."}}
	other := muster.Waiver{ID: "W-8", Control: "LOCAL-1", County: "56001", Reason: "Another's waiver."}
	old := muster.Waiver{ID: "W-6", Control: "LOCAL-1", Reason: "An old waiver.", Expires: now.AddDate(0, 0, -1)}
	good := muster.Waiver{ID: "W-7", Control: "LOCAL-1", Reason: "The law says so.", Approver: "officer@state.example", Expires: now.AddDate(0, 0, 9)}
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Waivers: []muster.Waiver{other, old, good}, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	w := get(h, "/counties/56021").Body.String()
	for _, want := range []string{`href="tel:&#43;13075550142"`, `href="mailto:clerk@laramie.example"`} {
		if !strings.Contains(w, want) {
			t.Errorf("no link %s", want)
		}
	}
	if strings.Count(w, "tel:")+strings.Count(w, "mailto:") != 2 {
		t.Error("what is no number or no address is a link")
	}
	d := open(t, h, "/counties/56021")
	d.has(t, "Who to call Dana County clerk +1 (307) 555-0142 clerk@laramie.example Desk 307 555 0100 ext. 5 x@y.example?cc=z@y.example",
		"A rule of this state waived on 2 computers The law says so. Until 12 November 2026, by officer@state.example. W-7",
		"Asked for A new one is ordered. MVS-ENC-01 until 3 December 2026: waits for an answer No. LOCAL-1 until 3 November 2026: declined")
	d.hasNot(t, "Another's", "An old waiver")
	open(t, h, "/counties/56021?as_of=2026-11-01").hasNot(t, "Asked for")
	open(t, h, "/counties/56021/scorecard").has(t, "Excused for now A rule of this state on 2 computers, until 12 November 2026", "Who to call Dana, County clerk +1 (307) 555-0142 · clerk@laramie.example")
}

func TestScorecard(t *testing.T) {
	fails := map[string][]int{"MVS-UPD-02": {1, 2, 3, 4, 5, 6}, "MVS-UPD-03": {2}, "MVS-UPD-04": {1}, "MVS-ENC-01": {4}, "MVS-ACC-03": {1}, "LOCAL-1": {2}}
	b := office(6, fails)
	b.Daily = map[muster.County][]muster.DayStanding{"56021": {{Day: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), CountyStanding: muster.CountyStanding{County: "56021", Hosts: 6, Meeting: 2, Failing: 4}}}}
	h := mustNew(t, b, b.Catalogue)
	d := open(t, h, "/counties/56021/scorecard")
	inOrder(t, d.Text, "Wyoming · Election computers · as of 3 November 2026", "Laramie County", "0 of 6 computers meet the baseline. Three things to fix first:",
		"Bring everything up to date on 6 computers, clears 8 findings Install what is offered. Restart it today. CLERK-01, CLERK-02, CLERK-03, CLERK-04 and 2 more",
		"The disk is encrypted on 1 computer, clears 1 finding Set it up anew with LUKS. CLERK-04", "A rule of this state",
		"Does not meet 6", "Nothing is waived here.", "2 of 6 computers met the baseline.", "Nobody of this county is on file.")
	open(t, h, "/counties/56021/scorecard?as_of=2026-11-01").has(t, "as of 1 November 2026, 23:59 UTC", "As it was shown on")
	open(t, h, "/counties/56001/scorecard").has(t, "No computer of this county has reported yet.")
	for _, path := range []string{"/counties/99999/scorecard", "/counties/x/scorecard", "/counties/99999/edit", "/counties/1/edit"} {
		if code := get(h, path).Code; code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, code)
		}
	}
}

func TestWhatTheStateKeepsOfACounty(t *testing.T) {
	b, _ := one(nil)
	b.People = map[muster.County][]muster.Contact{"56021": {{Name: `Dana "D" <W>`, Duty: "Clerk", Phone: "1", Email: "d@w.example"}}}
	b.Absent = []muster.ExpectedHost{{County: "56021", Name: "CLERK-01"}, {County: "56021", Name: "EMS-1", Profile: muster.EMS}, {County: "56021", Name: "PC-9", Note: `in the "vault", left`}}
	h := mustNew(t, b, b.Catalogue)
	open(t, h, "/counties/56021").has(t, "Change contacts and expected computers")
	d := open(t, h, "/counties/56021/edit")
	d.has(t, `Dana "D" <W>`, "New contact", `CLERK-01 EMS-1,ems PC-9,,"in the ""vault"", left"`)
	body := get(h, "/counties/56021/edit").Body.String()
	for _, want := range []string{`action="/counties/56021/contacts"`, `value="Dana &#34;D&#34; &lt;W&gt;"`, `id="email-3"`, `action="/counties/56021/expected"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	open(t, h, "/counties/56021/edit?done=contacts").has(t, "Kept. The county's page and its scorecard show them.")
	open(t, h, "/counties/56001/edit").has(t, "New contact")

	b.People["56021"], b.Absent = make([]muster.Contact, 20), make([]muster.ExpectedHost, 501)
	for i := range b.Absent {
		b.Absent[i] = muster.ExpectedHost{County: "56021", Name: fmt.Sprint("PC-", i)}
	}
	d = open(t, h, "/counties/56021/edit")
	d.has(t, "The county expects 501 computers", "muster-collector expect 56021 list.csv")
	if d.hasNot(t, "PC-7"); d.ids["name-21"] {
		t.Error("there is room for more contacts than are kept")
	}
	open(t, h, "/counties/56021").has(t, "PC-7", "And 481 computers more. More of them")
}

// What people enter is shown as harmlessly as what hosts say.
func TestHostileDesk(t *testing.T) {
	for name, text := range hostile {
		b := office(2, map[string][]int{"MVS-ENC-01": {1}})
		b.People = map[muster.County][]muster.Contact{"56021": {{Name: text, Duty: text, Phone: text, Email: text}, {Name: "x", Phone: "javascript:1", Email: `a@"onfocus=b`}}}
		b.Absent = []muster.ExpectedHost{{County: "56021", Name: text, Note: text, Profile: muster.Profile(text)}}
		b.Asked = []muster.Ask{{County: "56021", Control: text, Reason: text, State: muster.AskState(text)}}
		b.Findings[3].Waiver = "W"
		h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Now: func() time.Time { return now },
			Waivers: []muster.Waiver{{ID: text, Control: "MVS-ENC-01", Reason: text, Approver: text, Expires: now.AddDate(0, 0, 1)}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/counties/56021", "/counties/56021/scorecard"} {
			if d := open(t, h, path); strings.ContainsAny(d.Text, "\u202E\u200B\u2060\x00\x1b") {
				t.Errorf("%s: %s shows an invisible character", name, path)
			}
		}
		if name != "control" { // XML cannot hold it
			open(t, h, "/counties/56021/edit") // its fields hold what was entered, as it was
		}
	}
}

// Where much fails, each of the first things has its advice, and nothing is left out.
func TestCountyWhereMuchFails(t *testing.T) {
	b := office(2, nil)
	for _, topic := range []string{"ACC", "NET", "UPD", "BOOT"} {
		for n := range 9 {
			c := muster.Control{ID: fmt.Sprintf("MVS-%s-%02d", topic, 20+n), Title: fmt.Sprintf("Rule %s %d holds", topic, n), Severity: muster.SeverityHigh,
				Remedy: fmt.Sprintf("See to %s %d.", topic, n), Platforms: []muster.Platform{muster.Windows}}
			b.Catalogue = append(b.Catalogue, c)
			b.Findings = append(b.Findings, muster.FindingStanding{Host: b.Fleet[0].ID, Control: c.ID, Status: muster.StatusFail, Since: now})
		}
	}
	b.Fleet[0].Summary.MeetsBaseline = false
	h := mustNew(t, b, b.Catalogue)
	d := open(t, h, "/counties/56021")
	d.has(t, "1 of 2 computers meets the baseline. Three things to fix first:")
	told := 0
	for _, topic := range []string{"ACC", "BOOT", "NET"} {
		d.has(t, fmt.Sprintf("Rule %s 0 holds high on CLERK-01 What to do See to %[1]s 0.", topic))
		for n := range 9 {
			d.has(t, fmt.Sprintf("Fails: Rule %s %d holds high on", topic, n))
			if strings.Contains(d.Text, fmt.Sprintf("See to %s %d.", topic, n)) {
				told++
			}
			if link := fmt.Sprintf("/controls/MVS-%s-%02d?county=56021", topic, 20+n); !slices.Contains(d.Links, link) {
				t.Errorf("no link %s", link)
			}
		}
	}
	if told != 12 {
		t.Errorf("%d of 27 are told with their advice", told)
	}
	d.has(t, "Then Fails: Bring everything up to date 9 findings on 1 computer, 9 urgent")
	open(t, h, "/counties/56021/scorecard").has(t, "Put accounts and sign-in in order on 1 computer, clears 9 findings")
}

// What is not told of a large county is counted, and hindsight says of which day it counts.
func TestCountyTellsWhatItLeavesOut(t *testing.T) {
	b := office(40, map[string][]int{"MVS-ENC-01": {1, 2}})
	for n := range 14 {
		c := muster.Control{ID: fmt.Sprintf("MVS-LOG-%02d", 20+n), Title: fmt.Sprint("Rule ", n), Severity: muster.SeverityLow}
		b.Catalogue = append(b.Catalogue, c)
		b.Findings = append(b.Findings, muster.FindingStanding{Host: b.Fleet[0].ID, Control: c.ID, Status: muster.StatusFail, Waiver: "W", Since: now})
	}
	for n := range 7 {
		b.Waivers = append(b.Waivers, muster.Waiver{ID: fmt.Sprint("W-", n), Control: "MVS-LOG-20", County: "56021", Approved: now.AddDate(0, 0, -9), Expires: now.AddDate(0, 0, 9)})
	}
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Waivers: b.Waivers, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, h, "/counties/56021")
	d.has(t, "W-2 And by 4 waivers more.", "And 2 controls more.")
	d.hasNot(t, "W-3", "Rule 12", "Counts are of")
	open(t, h, "/counties/56021/scorecard").has(t, "And 11 controls more.")
	for _, path := range []string{"/counties/56021", "/counties/56021/scorecard"} {
		open(t, h, path+"?as_of=2026-11-03T14:00:00Z&known=now").has(t, "Counts are of the end of 2 November 2026, UTC, the last day that had ended.")
		open(t, h, path+"?as_of=2026-11-03T14:00:00Z").hasNot(t, "Counts are of")
	}
}

// Of many election management systems the first tell how their reports came.
func TestManyCarriers(t *testing.T) {
	b := office(7, nil)
	for i := range b.Fleet {
		b.Fleet[i].Profile = muster.EMS
	}
	h := mustNew(t, b, b.Catalogue)
	open(t, h, "/counties/56021").has(t, "And 1 more. Their pages tell how theirs came:")
	b.Fleet[0].Profile = muster.Workstation
	open(t, h, "/counties/56021").hasNot(t, "Their pages tell")
}

// A computer that is missing needs attention, however well the others are.
func TestAdviceNamesTheMissing(t *testing.T) {
	b, _ := one(nil)
	b.Absent = []muster.ExpectedHost{{County: "56021", Name: "CLERK-09"}}
	open(t, mustNew(t, b, b.Catalogue), "/counties/56021").has(t, "1 of 1 computer meets the baseline. But missing: 1 computer that the county expects.")
}

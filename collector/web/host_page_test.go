package web_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// reported gives the host a report of every number but those, made an hour apart, the
// newest an hour ago; each came a minute and a half later.
func reported(b *storybook.Book, h *muster.HostStanding, newest uint64, but ...uint64) {
	h.Seq, h.LastSeen, h.CollectedAt = newest, now.Add(-time.Hour+90*time.Second), now.Add(-time.Hour)
	var list []muster.ReportStanding
next:
	for seq := newest; seq > 0; seq-- {
		for _, n := range but {
			if n == seq {
				continue next
			}
		}
		made := h.CollectedAt.Add(-time.Duration(newest-seq) * time.Hour)
		list = append(list, muster.ReportStanding{Host: h.ID, Seq: seq, Digest: muster.Digest{0xAB, 0xCD, byte(seq)}, CollectedAt: made, ReceivedAt: made.Add(90 * time.Second),
			Way: muster.WayUplink, Evidence: seq > 2})
	}
	b.Reports = map[muster.HostID][]muster.ReportStanding{h.ID: list}
}

func TestReportsOfAHost(t *testing.T) {
	b, id := one(func(h *muster.HostStanding, b *storybook.Book) {
		reported(b, h, 30, 1, 9, 10, 25, 26, 27)
		h.Missing = 6
		list := b.Reports[h.ID]
		list[1].ReceivedAt, list[1].Late, list[1].Way = list[1].CollectedAt.Add(5*time.Hour), true, muster.WayCourier
		list[2].ReceivedAt = list[2].CollectedAt.Add(-time.Hour)
	})
	h := mustNew(t, b, b.Catalogue)
	page := "/hosts/" + string(id)
	d := open(t, h, page)
	inOrder(t, d.Text, "Last report 58 minutes ago, number 30. It came over the network 1 minute after it was made. Of the last 20, the slowest took 5 hours and 1 came another way.",
		"Gaps 6 reports of lower numbers never came: which", "20 reports, the highest number first.",
		"30 3 Nov 2026, 14:05 UTC 3 Nov 2026, 14:04 UTC 1 minute over the network given at once abcd1e000000 after abcd1d000000 Download report 30",
		"29 late: a higher number had come 3 Nov 2026, 18:04 UTC 3 Nov 2026, 13:04 UTC 5 hours on a stick given, not known to be there abcd1d000000 after abcd1c000000", "28 3 Nov 2026, 11:04 UTC 3 Nov 2026, 12:04 UTC clock ahead over the network given at once abcd1c000000 Download",
		"Numbers 25 to 27 never came. 24 ", "11 ", "Numbers 9 to 10 never came. 8 2 Nov", "Reports before number 6", "sha256sum FILE", "muster report show FILE")
	d.hasNot(t, "let go. 7", "Number 1 never came", "The computer said")
	b.Steps = map[muster.HostID][]muster.CustodyEvent{id: {{At: now.Add(-time.Minute), Act: muster.CustodyReturned, By: string(id), File: "aaaaaaaaaaaaaaaa", Host: id, From: 28, To: 29}}}
	open(t, h, page).has(t, "on a stick there 3 Nov 2026, 15:03 UTC abcd1d000000", "over the network given at once abcd1c000000")
	d = open(t, h, page+"?before=6")
	inOrder(t, d.Text, "CLERK-01 What it must do, and everything else about it", "4 reports, the highest number first.", "5 ", "3 2 Nov", "Download report 3", "2 2 Nov", "abcd02000000 let go Number 1 never came.")
	d.hasNot(t, "Before number", "Its clock", "Download report 2 ")
	open(t, h, page+"?before=1").has(t, "There is no report before that number.")
	for _, before := range []string{"0", "-1", "x", "99999999999999999999"} {
		if d := open(t, h, page+"?before="+before); d.Code != http.StatusNotFound {
			t.Errorf("before %s: %d", before, d.Code)
		}
	}

	// As it was shown then, what came since is not there.
	then := open(t, h, page+"?as_of=2026-11-03T13:30:00Z")
	then.has(t, "Numbers 25 to 27 had not come then.")
	then.hasNot(t, "Download report 30", "Download report 29", "Ask for an audit", "Retire")
	if then.Text == open(t, h, page+"?as_of=2026-11-03T13:30:00Z&known=now").Text {
		t.Error("what is known now tells nothing else than what was known then")
	}

	// The host said so of what it let go.
	b.Fleet[0].Missing = 0
	open(t, mustNew(t, b, b.Catalogue), page).has(t, "Numbers 25 to 27 never came. The computer said that it let them go.")

	// Who reads counties only is not told that what they may not see never came.
	d = open(t, seenBy(t, b, clerk), page+"?before=6")
	d.hasNot(t, "Number 1 never came")
}

func TestCustodyOfAHost(t *testing.T) {
	b, id := one(nil)
	near, far := b.Fleet[0], b.Fleet[0]
	near.ID, near.Hostname = muster.NewHostID([]byte("near")), "CLERK-02"
	far.ID, far.Hostname, far.County = muster.NewHostID([]byte("far")), "ALBANY-01", "56001"
	b.Fleet = append(b.Fleet, near, far)
	step := func(file, act, by string, from uint64, hours int) muster.CustodyEvent {
		return muster.CustodyEvent{At: now.Add(time.Duration(hours) * time.Hour), Act: act, By: by, File: file, Host: id, From: from, To: from + 2}
	}
	b.Steps = map[muster.HostID][]muster.CustodyEvent{id: {
		step("aaaaaaaaaaaaaaaa", muster.CustodyWrote, string(id), 1, -90), step("aaaaaaaaaaaaaaaa", muster.CustodyRelayed, string(far.ID), 1, -80),
		step("aaaaaaaaaaaaaaaa", muster.CustodyReceived, "State of Example", 1, -79), step("bbbbbbbbbbbbbbbb", muster.CustodyWrote, string(id), 4, -5),
		step("bbbbbbbbbbbbbbbb", muster.CustodyRelayed, string(near.ID), 4, 2)}}
	page := "/hosts/" + string(id)
	inOrder(t, open(t, mustNew(t, b, b.Catalogue), page).Text, "Carried on a stick", "Reports 4 to 6 file bbbbbbbbbbbbbbbb", "Written to the stick 5 hours ago", "Sent on by a connected computer: CLERK-02 in 2 hours",
		"Reports 1 to 3", "Sent on by a connected computer: ALBANY-01 3 days ago", "Taken in by the state: State of Example")
	d := open(t, seenBy(t, b, clerk), page)
	d.has(t, "Sent on by a connected computer: CLERK-02", "Sent on by a connected computer: another computer")
	d.hasNot(t, "ALBANY-01")
	open(t, mustNew(t, b, b.Catalogue), page+"?as_of=2026-11-02").hasNot(t, "Reports 4 to 6")
	for n := range 9 {
		b.Steps[id] = append(b.Steps[id], step(fmt.Sprintf("%016d", n), muster.CustodyWrote, string(id), 10, -4))
	}
	open(t, mustNew(t, b, b.Catalogue), page).has(t, "6 earlier files are not shown.")
}

// A past view tells what was known then: neither a file that came later nor what a later
// file told. In hindsight it is there.
func TestCustodyIsToldOfItsDay(t *testing.T) {
	b, id := one(nil)
	b.Fleet[0].Profile = muster.EMS
	b.Fleet[0].Seq = 3
	b.Reports = map[muster.HostID][]muster.ReportStanding{id: {{Host: id, Seq: 3, Way: muster.WayCourier, ReceivedAt: now.Add(-80 * time.Hour)}}}
	step := func(file, act string, from uint64, hours int) muster.CustodyEvent {
		return muster.CustodyEvent{At: now.Add(time.Duration(hours) * time.Hour), Act: act, By: string(id), File: file, Host: id, From: from, To: from + 2}
	}
	b.Steps = map[muster.HostID][]muster.CustodyEvent{id: {
		step("aaaaaaaaaaaaaaaa", muster.CustodyWrote, 1, -90), step("aaaaaaaaaaaaaaaa", muster.CustodyReceived, 1, -80), step("aaaaaaaaaaaaaaaa", muster.CustodyReturned, 1, -70),
		step("bbbbbbbbbbbbbbbb", muster.CustodyWrote, 4, -60), step("bbbbbbbbbbbbbbbb", muster.CustodyReceived, 4, -20)}}
	h := mustNew(t, b, b.Catalogue)
	for at, want := range map[string][2]int{ // steps of the one file and of the other
		"": {3, 2}, "?as_of=" + now.Add(-50*time.Hour).Format(time.RFC3339): {2, 0}, "?as_of=" + now.Add(-10*time.Hour).Format(time.RFC3339): {3, 2},
		"?as_of=" + now.Add(-85*time.Hour).Format(time.RFC3339): {0, 0}, "?known=now&as_of=" + now.Add(-50*time.Hour).Format(time.RFC3339): {3, 1},
	} {
		_, files, _ := strings.Cut(open(t, h, "/hosts/"+string(id)+at).Text, "Carried on a stick")
		files, _, _ = strings.Cut(files, "Each report is signed")
		second, first, found := strings.Cut(files, "Reports 1 to 3")
		if !found {
			second, first = files, ""
		}
		count := func(s string) int {
			return strings.Count(s, "Written to") + strings.Count(s, "Taken in") + strings.Count(s, "Receipts back")
		}
		if got := [2]int{count(first), count(second)}; got != want {
			t.Errorf("%q tells %d steps of the files, want %d: %s", at, got, want, files)
		}
		back := want[0] == 3
		county := open(t, h, "/counties/56021"+at)
		if told := strings.Contains(county.Text, "Receipts back on the computer"); told != back {
			t.Errorf("%q: that the receipts are back is told: %v", at, told)
		}
	}
}

// What a stick says of a file is bounded, asks the store no more often, and hides nothing
// that the collector did.
func TestManyStepsOfAFile(t *testing.T) {
	b, id := one(nil)
	b.Fleet[0].Profile = muster.EMS
	b.Reports = map[muster.HostID][]muster.ReportStanding{id: {{Host: id, Seq: b.Fleet[0].Seq, Way: muster.WayCourier}}}
	step := func(act, by string, minutes int) muster.CustodyEvent {
		return muster.CustodyEvent{At: now.Add(time.Duration(minutes) * time.Minute), Act: act, By: by, File: "aaaaaaaaaaaaaaaa", Host: id, From: 1, To: 2}
	}
	var steps []muster.CustodyEvent
	for n := range 300 {
		steps = append(steps, step(muster.CustodyRelayed, string(muster.NewHostID(fmt.Append(nil, n))), n-400))
	}
	b.Steps = map[muster.HostID][]muster.CustodyEvent{id: append(steps, step(muster.CustodyReceived, "State of Example", -9))}
	reader := &counted{Book: b}
	h := mustNew(t, reader, b.Catalogue)
	d := open(t, h, "/hosts/"+string(id))
	d.has(t, "Taken in by the state: State of Example 9 minutes ago", "289 more steps are not shown.")
	if got := strings.Count(d.Text, "Sent on by"); got != 11 || reader.among != 1 {
		t.Errorf("%d steps are shown, and carriers were asked for %d times", got, reader.among)
	}
	d = open(t, h, "/counties/56021")
	d.has(t, "Taken in by the state 9 minutes ago", "289 more steps are on its page.")
	if got := strings.Count(d.Text, "Sent on by"); got != 11 {
		t.Errorf("the county's page shows %d steps", got)
	}

	// What cannot be read of it costs no page.
	reader.broken = true
	open(t, h, "/hosts/"+string(id)).has(t, "Where its sealed files have been could not be read.", "About this computer")
	open(t, h, "/counties/56021").has(t, "CLERK-01 The last report came on a stick", "Where the stick has been could not be read.")
}

// counted counts how often carriers are asked for, and may be unable to read custody.
type counted struct {
	*storybook.Book
	among  int
	broken bool
}

func (c *counted) HostsAmong(ctx context.Context, county muster.County, ids []muster.HostID) ([]muster.HostStanding, error) {
	c.among++
	return c.Book.HostsAmong(ctx, county, ids)
}

func (c *counted) Custody(ctx context.Context, id muster.HostID) ([]muster.CustodyEvent, error) {
	if c.broken {
		return nil, errors.New("a row that is none")
	}
	return c.Book.Custody(ctx, id)
}

func TestPolicyOfAHost(t *testing.T) {
	one14 := muster.Release{Version: 14, Revision: "2026.11.2", Policy: strings.Repeat("2b", 32), Ring: muster.RingCanary}
	one13 := muster.Release{Version: 13, Revision: "2026.11.1", Policy: strings.Repeat("1a", 32), Ring: muster.RingAll}
	for want, change := range map[string]func(*muster.HostStanding, *storybook.Book){
		"Version 13, the newest that its ring, all, is offered.": func(h *muster.HostStanding, b *storybook.Book) {
			b.Policies, h.PolicyDigest = []muster.Release{one14, one13}, one13.Policy
		},
		"Version 14 (2026.11.2) is offered to its ring, canary, and not taken yet.": func(h *muster.HostStanding, b *storybook.Book) {
			b.Policies, h.PolicyDigest, b.Members = []muster.Release{one14, one13}, one13.Policy, []muster.RingMember{{County: "56021", Ring: muster.RingCanary}}
		},
		"Version 14, newer than what its ring, all, is offered.": func(h *muster.HostStanding, b *storybook.Book) {
			b.Policies, h.PolicyDigest = []muster.Release{one14, one13}, one14.Policy
		},
		"Version 14, and ring all is offered nothing now.": func(h *muster.HostStanding, b *storybook.Book) {
			b.Policies, h.PolicyDigest = []muster.Release{one14}, one14.Policy
		},
		"Policy 2026.11.1 Not published here.": func(*muster.HostStanding, *storybook.Book) {},
	} {
		b, id := one(change)
		open(t, mustNew(t, b, b.Catalogue), "/hosts/"+string(id)).has(t, want)
		open(t, mustNew(t, b, b.Catalogue), "/hosts/"+string(id)+"?as_of=2026-11-02").hasNot(t, want)
	}
}

// What people said of a host, told to its county as well, and only what concerns it.
func TestWordsOfPeopleOnAHost(t *testing.T) {
	b, id := one(func(h *muster.HostStanding, b *storybook.Book) {
		h.Summary = muster.Summary{Waived: 1, MeetsBaseline: true}
		b.Findings[0].Status, b.Findings[0].Waiver = muster.StatusFail, "W-1"
		b.Catalogue[0].Lists = []string{"attestations"}
		ask := func(n int64, host muster.HostID, county muster.County, control, reason string, state muster.AskState) muster.Ask {
			return muster.Ask{ID: n, Host: host, County: county, Control: control, Reason: reason, State: state, By: "clerk@laramie.example", At: now.AddDate(0, 0, -2), Until: now.AddDate(0, 1, 0)}
		}
		b.Asked = []muster.Ask{ask(4, h.ID, "56021", "MVS-ENC-01", "It stands in the vault.", muster.AskOpen), ask(3, "", "56021", "MVS-ENC-01", "All are old.", muster.AskDeclined),
			ask(2, "", "56021", "MVS-LOG-02", "Of another control.", muster.AskOpen), ask(1, "", "56001", "MVS-ENC-01", "Of another county.", muster.AskOpen)}
		b.Asked[1].Answer = "Then buy new ones."
	})
	words := func(o *web.Options) {
		o.Waivers = []muster.Waiver{{ID: "W-1", Control: "MVS-ENC-01", County: "56021", Reason: "New disks are ordered.", Approver: "officer@state.example", Approved: now.AddDate(0, -1, 0), Expires: now.AddDate(0, 0, 20)}}
		o.Attestations = []muster.Attestation{{ID: "A-1", Claim: "restore_tested", Host: id, On: now.AddDate(0, -2, 0), By: "Dana", Until: now.AddDate(0, 10, 0), Note: "One folder."},
			{ID: "A-2", Claim: "restore_tested", County: "56001", On: now.AddDate(0, -2, 0), By: "Luis", Until: now.AddDate(0, 10, 0)},
			{ID: "A-3", Claim: "restore_tested", On: now.AddDate(-2, 0, 0), By: "Ruth", Until: now.AddDate(-1, 0, 0)}}
	}
	for _, who := range []web.Person{officer, clerk} {
		d := open(t, seenBy(t, b, who, words), "/hosts/"+string(id))
		d.has(t, "Why it is excused New disks are ordered. Until 23 November 2026, approved by officer@state.example on 3 October 2026. Waiver W-1",
			"It can count for MVS-ENC-01. restore tested on 3 September 2026, for CLERK-01. One folder. by Dana, until 3 September 2027. A-1",
			"It stands in the vault. A waiver of MVS-ENC-01 for one computer until 3 December 2026, asked by clerk@laramie.example on 1 November Waits for an answer",
			"All are old. A waiver of MVS-ENC-01 for all of Laramie County", "Declined. Then buy new ones.")
		d.hasNot(t, "Luis", "Ruth", "Of another")
	}
	d := open(t, seenBy(t, b, officer, words), "/hosts/"+string(id)+"?as_of=2026-11-02")
	d.hasNot(t, "It stands in the vault.")
}

// What is done to a computer is offered to who may do it, says what happens, and is not
// offered in the past.
func TestWhatIsDoneToAHost(t *testing.T) {
	b, id := one(func(h *muster.HostStanding, _ *storybook.Book) {
		h.Conflict, h.ConflictReason = true, muster.CloneMachine
	})
	page := "/hosts/" + string(id)
	for role, may := range map[muster.Role]bool{muster.RoleViewer: false, muster.RoleOperator: true, muster.RoleCISO: true, "": false} {
		who := web.Person{Role: role}
		if role == "" {
			who.Counties = []muster.County{"56021"}
		}
		h := seenBy(t, b, who, func(o *web.Options) { o.May = door.May })
		body := get(h, page).Body.String()
		for _, form := range []string{"/audit", "/retire", "/clear-clone"} {
			if strings.Contains(body, `method="post" action="`+page+form+`"`) != may {
				t.Errorf("%q is offered %s: not %v", role, form, may)
			}
		}
		if past := get(h, page+"?as_of=2026-11-02").Body.String(); strings.Contains(past, `action="`+page) && strings.Contains(past, `method="post" action="`+page) {
			t.Errorf("%q is offered a form of the past", role)
		}
	}
	open(t, mustNew(t, b, b.Catalogue), page).has(t, "It is one computer: take this warning away Do this when you know why", "Retire this computer It leaves every list and count at once.")
	open(t, mustNew(t, b, b.Catalogue), page+"?done=cleared").has(t, "Taken away. It comes back if two computers use this identity again.")
	open(t, mustNew(t, b, b.Catalogue), "/counties/56021?done=retired").has(t, "Retired. It is in no list and no count any more.")
}

func TestHistoryOfAHost(t *testing.T) {
	b, id := one(nil)
	for n := range 250 {
		b.Transitions = append(b.Transitions, muster.Transition{Host: id, Control: "MVS-ENC-01", From: muster.StatusFail, To: muster.StatusPass, Seq: uint64(500 - n/2), ReceivedAt: now.Add(-time.Duration(n/2) * time.Hour)})
	}
	page := "/hosts/" + string(id)
	open(t, mustNew(t, b, b.Catalogue), page).has(t, "What changed before that: 94 reports", "Older changes are kept by the collector and not shown here.", "5 hours ago 3 Nov 2026, 10:04 UTC report 495")
	b.Transitions = b.Transitions[:3]
	d := open(t, mustNew(t, b, b.Catalogue), page)
	d.has(t, "report 500", "report 499")
	d.hasNot(t, "What changed before that", "Older changes")
}

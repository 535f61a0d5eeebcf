package web_test

import (
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/policies"
)

// excepted is a book with one waiver of each kind, requests and attestations.
func excepted() (*storybook.Book, muster.HostID) {
	day := func(n int) time.Time { return time.Date(2026, 11, 3+n, 0, 0, 0, 0, time.UTC) }
	return one(func(h *muster.HostStanding, b *storybook.Book) {
		b.Findings = []muster.FindingStanding{{Host: h.ID, Control: "MVS-ENC-01", Status: muster.StatusFail, Waiver: "W-host", Since: now},
			{Host: h.ID, Control: "MVS-LOG-02", Status: muster.StatusFail, Waiver: "W-county", Since: now}}
		b.Waivers = []muster.Waiver{
			{ID: "W-state", Control: "MVS-LOG-02", Reason: "for all", Approver: "CISO", Approved: day(-9), Expires: day(300)},
			{ID: "W-county", Control: "MVS-LOG-02", County: "56021", Reason: "small disks", Approver: "CISO", Approved: day(-9), Expires: day(30)},
			{ID: "W-host", Control: "MVS-ENC-01", Host: h.ID, Reason: "no chip", Approver: "CISO", Approved: day(-9), Expires: day(9)},
			{ID: "W-other", Control: "MVS-ENC-01", County: "56001", Reason: "elsewhere", Approver: "CISO", Approved: day(-9), Expires: day(90)},
			{ID: "W-gone", Control: "MVS-ENC-01", Host: muster.NewHostID([]byte("gone")), Reason: "it is gone", Approver: "CISO", Approved: day(-9), Expires: day(91)},
			{ID: "W-old", Control: "MVS-ENC-01", County: "56021", Reason: "last year", Approver: "CISO", Approved: day(-400), Expires: day(0)},
		}
		b.Held = map[int64][]muster.Waiver{4: b.Waivers[1:], 5: b.Waivers[:4]}
		b.Policies = []muster.Release{{Version: 5, Ring: muster.RingCanary}, {Version: 4, Ring: muster.RingAll}}
		b.Attestations = []muster.Attestation{
			{ID: "A-1", Claim: "restore_tested", County: "56021", On: day(-400), By: "the clerk", Until: day(-35)},
			{ID: "A-2", Claim: "restore_tested", County: "56021", On: day(-300), By: "the clerk", Until: day(0), Note: "one folder"},
			{ID: "A-3", Claim: "restore_tested", County: "56001", On: day(-300), By: "another clerk", Until: day(12)},
			{ID: "A-4", Claim: "house_rule", On: day(-300), By: "the state", Until: day(80)},
		}
		b.Asked = []muster.Ask{
			{ID: 9, County: "56021", Host: h.ID, Control: "MVS-LOG-02", Reason: "the disk is small", Until: day(40), By: "clerk@laramie.example", At: now.Add(-time.Hour), State: muster.AskOpen},
			{ID: 8, County: "56021", Host: h.ID, Control: "MVS-ENC-01", Reason: "no chip", Until: day(40), By: "clerk@laramie.example", At: now.AddDate(0, 0, -3), State: muster.AskGranted,
				Answer: "Until the new one comes.", AnsweredBy: "officer@state.example", AnsweredAt: now.AddDate(0, 0, -2)},
			{ID: 7, County: "56001", Control: "MVS-LOG-02", Reason: "we \"must\": # really\nso", Until: day(40), By: "clerk@albany.example", At: now.AddDate(0, 0, -3), State: muster.AskGranted,
				AnsweredBy: "officer@state.example", AnsweredAt: now.AddDate(0, 0, -2)},
			{ID: 6, County: "56021", Control: "MVS-ENC-01", Reason: "it is slow", Until: day(40), By: "clerk@laramie.example", At: now.AddDate(0, 0, -9), State: muster.AskDeclined,
				Answer: "It is not.", AnsweredBy: "officer@state.example", AnsweredAt: now.AddDate(0, 0, -8)},
		}
	})
}

func TestExceptions(t *testing.T) {
	b, _ := excepted()
	b.Waivers = b.Waivers[1:]
	d := open(t, policed(t, b, officer), "/exceptions")
	inOrder(t, d.Text, "4 waivers in force, 2 findings excused. 2 end within 30 days. 1 request waits for an answer. 1 attestation is overdue.",
		"Ask for a waiver", "Requests that wait", "Event logs are large enough medium MVS-LOG-02 the disk is small For CLERK-01, Laramie County, until 13 December 2026. Asked 1 hour ago by clerk@laramie.example",
		"Answer request 9", "Grant it", "Decline it",
		"They end within 30 days", "The disk is encrypted critical W-host CLERK-01 no chip Approved by CISO, 25 October 2026 12 November 2026 in 8 days 1",
		"Event logs are large enough medium W-county Laramie County small disks Approved by CISO, 25 October 2026 3 December 2026 in 29 days 1",
		"Those that last longer.", "W-other Albany County elsewhere", "W-gone one computer, which is not here it is gone", "Only in version 4", "0",
		"1 waiver that ended and is still in the policy", "W-old Laramie County last year",
		"restore tested A-2 Laramie County the clerk, 7 January 2026. one folder 3 November 2026 overdue", "restore tested A-3 Albany County another clerk", "15 November 2026 due soon", "house rule A-4 every computer",
		"Requests that are answered", "no chip For CLERK-01", "Granted on 1 November 2026 by officer@state.example Until the new one comes.", "In force. Version 4 holds it as W-host, until 12 November 2026.",
		"Granted", "Not in force here yet. Version 5 holds it as W-state, until 30 August 2027, and is offered as far as ring canary.", "Declined", "It is not.")
	d.hasNot(t, "A-1")

	// One county's own people: what is theirs or everyone's, and no answer of theirs.
	d = open(t, policed(t, b, clerk), "/exceptions?county=56021")
	d.has(t, "Laramie County Exceptions 2 waivers in force, 2 findings excused.", "W-host CLERK-01", "W-county", "house rule", "the disk is small", "Declined", "Ask for a waiver")
	d.hasNot(t, "W-other", "W-gone", "A-3", "Answer request", "Grant it", "we \"must\"", "publish it")
	if !slices.Contains(d.Links, "/controls/MVS-ENC-01?county=56021") {
		t.Errorf("a clerk is not led to the control as it stands in the county: %v", d.Links)
	}
	if code := get(policed(t, b, clerk), "/exceptions?county=56001").Code; code != http.StatusNotFound {
		t.Errorf("another county's exceptions: %d", code)
	}

	empty, _ := one(nil)
	d = open(t, policed(t, empty, officer), "/exceptions")
	d.has(t, "No waiver is in force.", "None is in force.")
	d.hasNot(t, "Requests", "Attestations")
	open(t, policed(t, &storybook.Book{}, officer), "/exceptions/ask").has(t, "No computer of any county reports yet")
}

// Lists are bounded, and say so.
func TestExceptionsAreBounded(t *testing.T) {
	b, id := excepted()
	for n := range 300 {
		w := b.Waivers[n%3]
		w.ID, w.Expires = fmt.Sprint("W-many-", n), w.Expires.AddDate(0, 0, n)
		b.Waivers = append(b.Waivers, w)
		a := b.Asked[0]
		a.ID, a.Host = int64(100+n), id
		b.Asked = append(b.Asked, a)
		b.Attestations = append(b.Attestations, muster.Attestation{ID: fmt.Sprint("A-many-", n), Claim: fmt.Sprint("claim_", n), Until: now.AddDate(1, 0, n)})
	}
	for _, path := range []string{"/exceptions", "/exceptions?county=56021"} {
		d := open(t, policed(t, b, officer), path)
		d.has(t, "At least 200 requests wait", "And 175 more. Answer some, or choose a county.", "And 2", "more, that last longer.")
		for _, s := range []string{"Asked 1 hour ago", "Approved by", "claim "} {
			if n := strings.Count(d.Text, s); n > 80 {
				t.Errorf("%s says %q %d times", path, s, n)
			}
		}
	}
}

// What is shown for the policy is what the policy reads, whatever was written.
func TestLinesOfAGrantedRequest(t *testing.T) {
	for name, reason := range hostile {
		b, id := excepted()
		ask := b.Asked[1]
		ask.Reason, ask.AnsweredBy = strings.ToValidUTF8(reason, "\uFFFD"), reason
		b.Asked, b.Held = []muster.Ask{ask}, nil
		page := get(policed(t, b, officer), "/exceptions").Body.String()
		_, lines, _ := strings.Cut(page, "<pre tabindex=\"0\"><code>")
		lines, _, _ = strings.Cut(lines, "</code>")
		var v any
		if err := yaml.Unmarshal([]byte(html.UnescapeString(lines)), &v); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, lines)
		}
		var got []muster.Waiver
		if err := policies.ParseExceptions(v, &got, true); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, lines)
		}
		want := muster.Waiver{ID: "ASK-8", Control: "MVS-ENC-01", Host: id, Reason: ask.Reason, Approver: got[0].Approver,
			Approved: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), Expires: time.Date(2026, 12, 14, 0, 0, 0, 0, time.UTC)}
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if !got[0].Covers("MVS-ENC-01", muster.Host{ID: id, County: "56021"}, ask.Until.Add(23*time.Hour)) {
			t.Errorf("%s: it does not cover the last day that was asked for", name)
		}
	}
}

func TestAsk(t *testing.T) {
	b, id := excepted()
	d := open(t, policed(t, b, officer), "/exceptions/ask?control=MVS-ENC-01")
	d.has(t, "First say of which county.", "Laramie County")
	d.hasNot(t, "Ask for it")
	d = open(t, policed(t, b, viewer), "/exceptions/ask?county=56021&control=MVS-ENC-01")
	d.has(t, "Laramie County Ask for a waiver", "The disk is encrypted (MVS-ENC-01)", "Every computer of Laramie County Only CLERK-01", "Its last day, UTC", "Ask for it")
	page := get(policed(t, b, clerk), "/exceptions/ask?county=56021&control=MVS-ENC-01&host="+string(id)).Body.String()
	for _, want := range []string{`action="/counties/56021/asks"`, `<option value="MVS-ENC-01" selected="selected">`, `<option value="` + string(id) + `" selected="selected">Only CLERK-01`,
		`min="2026-11-04" max="2027-11-03" value="2027-02-01"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the form lacks %s:\n%s", want, page)
		}
	}
	// A computer says of which county.
	open(t, policed(t, b, officer), "/exceptions/ask?host="+string(id)).has(t, "Laramie County Ask for a waiver", "Only CLERK-01")
	for _, wrong := range []string{"?county=56001&host=" + string(id), "?county=x", "?host=x"} {
		if code := get(policed(t, b, officer), "/exceptions/ask"+wrong).Code; code != http.StatusNotFound {
			t.Errorf("%s answers %d", wrong, code)
		}
	}
	// Of a county with many computers one is not chosen from a list.
	for n := range 150 {
		h := b.Fleet[0]
		h.ID, h.Hostname = muster.NewHostID(fmt.Append(nil, n)), fmt.Sprint("PC-", n)
		b.Fleet = append(b.Fleet, h)
	}
	d = open(t, policed(t, b, officer), "/exceptions/ask?county=56021")
	d.has(t, "To ask for one computer, begin on its page.")
	d.hasNot(t, "Only PC-")
}

func TestExceptionsAreHarmless(t *testing.T) {
	for name, text := range hostile {
		b, id := excepted()
		b.Fleet[0].Hostname = text
		for i := range b.Waivers {
			w := &b.Waivers[i]
			w.ID, w.Reason, w.Approver = text, text, text
		}
		b.Waivers = append(b.Waivers, muster.Waiver{ID: text, Control: text, Expires: now.AddDate(0, 0, 40)})
		for i := range b.Attestations {
			a := &b.Attestations[i]
			a.ID, a.Claim, a.By, a.Note = text, text, text, text
		}
		for i := range b.Asked {
			a := &b.Asked[i]
			a.Reason, a.By, a.Answer, a.AnsweredBy = text, text, text, text
		}
		b.Asked[0].Control = text
		b.Held = map[int64][]muster.Waiver{4: b.Waivers}
		h := policed(t, b, officer, func(o *web.Options) { o.Catalogue[1].Title = "Event logs" })
		for _, path := range []string{"/exceptions", "/exceptions?county=56021", "/exceptions/ask?county=56021&control=" + "%3Cscript%3E", "/exceptions/ask?host=" + string(id)} {
			d := open(t, h, path)
			if d.Code != http.StatusOK || strings.ContainsAny(d.Text, "\u202E\u200B\u2060\x00\x1b") || len(d.Text) > 60000 {
				t.Errorf("%s: %s answers %d with %d bytes, or shows an invisible character", name, path, d.Code, len(d.Text))
			}
		}
	}
}

package web_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strconv"
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
		"2 waivers end within 30 days; from then on what they excuse is a finding again.", "The disk is encrypted critical W-host CLERK-01 no chip Approved by CISO, 25 October 2026 11 November 2026 in 8 days 1",
		"Event logs are large enough medium W-county Laramie County small disks Approved by CISO, 25 October 2026 2 December 2026 in 29 days 1",
		"2 waivers that last longer.", "W-other Albany County elsewhere", "W-gone one computer, which is not here it is gone", "Only in version 4", "0",
		"1 waiver that ended and is still in the policy", "W-old Laramie County last year",
		"How a waiver is asked for, approved and ended", "Grant the request above", "End one early. Take its lines out of waivers/data.yaml, or give it an earlier day in expires; sign with a higher version and publish.",
		"3 attestations, what is to be renewed first at the top", "restore tested A-2 Laramie County the clerk, 7 January 2026. one folder 2 November 2026 overdue", "restore tested A-3 Albany County another clerk", "14 November 2026 due soon", "house rule A-4 every computer",
		"Requests that are answered", "no chip For CLERK-01", "Granted on 1 November 2026 by officer@state.example Until the new one comes.", "In force. Version 4 holds it as W-host, until 11 November 2026.",
		"Granted", "Not in force here yet. Version 5 holds it as W-state, until 29 August 2027, and is offered as far as ring canary.", "Declined", "It is not.")
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
		a.ID, a.Host = int64(400-n), id
		b.Asked = slices.Insert(b.Asked, n, a)
		b.Asked = append(b.Asked, b.Asked[n])
		b.Asked[len(b.Asked)-1].State = muster.AskDeclined
		b.Attestations = append(b.Attestations, muster.Attestation{ID: fmt.Sprint("A-many-", n), Claim: fmt.Sprint("claim_", n), Until: now.AddDate(0, 0, n/7-3)})
	}
	for _, path := range []string{"/exceptions", "/exceptions?county=56021"} {
		d := open(t, policed(t, b, officer), path)
		d.has(t, "301 requests wait", "25 of 301 requests, the oldest first.", "Answer request 9 ", "The next requests", "more, that last longer.", "older. All requests as a file (CSV)")
		for _, s := range []string{"Asked 1 hour ago", "Approved by", "claim "} {
			if n := strings.Count(d.Text, s); n > 80 {
				t.Errorf("%s says %q %d times", path, s, n)
			}
		}
	}

	// The requests that wait are read page by page, each once.
	seen, pages := map[string]bool{}, 0
	for path := "/exceptions?control=MVS-LOG-02"; path != ""; pages++ {
		d := open(t, policed(t, b, officer), path)
		for _, part := range strings.Split(d.Text, "Answer request ")[1:] {
			id, _, _ := strings.Cut(part, " ")
			if seen[id] {
				t.Errorf("%s shows request %s again", path, id)
			}
			seen[id] = true
		}
		path = ""
		for _, l := range d.Links {
			if strings.Contains(l, "after=") {
				path = l
			}
		}
		if pages > 0 {
			d.has(t, "All exceptions, and the requests that have waited longest")
			d.hasNot(t, "End one early", "Attestations")
		}
	}
	if len(seen) != 301 || pages != 13 {
		t.Errorf("%d requests on %d pages", len(seen), pages)
	}
	for _, wrong := range []string{"after=0", "after=x", "control=MVS-NONE-01"} {
		if code := get(policed(t, b, officer), "/exceptions?"+wrong).Code; code != http.StatusNotFound {
			t.Errorf("%s answers %d", wrong, code)
		}
	}
}

// Whatever the heading counts is in a list below it, or said to be left out.
func TestNumbersOfExceptionsAddUp(t *testing.T) {
	b := &storybook.Book{}
	for n := range 200 {
		h := muster.HostStanding{Host: muster.Host{ID: muster.NewHostID(fmt.Append(nil, n)), Hostname: fmt.Sprint("PC-", n), County: muster.County([]string{"56001", "56021"}[n%2])}, State: muster.HostActive, Stale: n == 7, LastSeen: now, Seq: 1}
		b.Fleet = append(b.Fleet, h)
		control, waiver := []string{"MVS-ENC-01", "MVS-LOG-02"}[n/2%2], fmt.Sprint("W-", n%90)
		b.Findings = append(b.Findings, muster.FindingStanding{Host: h.ID, Control: control, Status: muster.StatusFail, Waiver: waiver, Since: now})
		if n < 80 { // of what nobody offers any more there are some
			w := muster.Waiver{ID: waiver, Control: control, Reason: "x", Approver: "y", Approved: now.AddDate(0, 0, -9), Expires: now.AddDate(0, 0, n-5)}
			if n%5 == 0 {
				w.County = h.County
			}
			if n > 70 {
				w.Approved = now.AddDate(0, 0, 2)
			}
			b.Waivers = append(b.Waivers, w)
		}
	}
	b.Catalogue = []muster.Control{{ID: "MVS-ENC-01", Title: "Disk"}, {ID: "MVS-LOG-02", Title: "Logs"}}
	sum := func(text, pattern string) (n int) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			k, err := strconv.Atoi(m[1])
			if err != nil {
				t.Fatal(err)
			}
			n += k
		}
		return n
	}
	for _, query := range []string{"", "?county=56021", "?control=MVS-ENC-01", "?county=56001&control=MVS-LOG-02"} {
		d := open(t, policed(t, b, officer), "/exceptions"+query)
		rows := len(regexp.MustCompile(`Approved by y`).FindAllString(d.Text, -1))
		inForce, ended, later := sum(d.Text, `(\d+) waivers? in force`), sum(d.Text, `(\d+) waivers? that ended`), sum(d.Text, `(\d+) waivers? that begins? later`)
		if inForce == 0 || rows+sum(d.Text, `And (\d+) more, which excuse|And (\d+) more\. Choose`) != inForce+ended+later {
			t.Errorf("%s: %d rows, %d in force, %d ended, %d begin later: %s", query, rows, inForce, ended, later, d.Text)
		}
		if soon := sum(d.Text, `(\d+) ends? within 30 days\. `); soon != sum(d.Text, `(\d+) waivers? ends? within 30 days; `) || inForce != soon+sum(d.Text, `(\d+) waivers? that lasts? longer`) {
			t.Errorf("%s: %d end soon of %d: %s", query, soon, inForce, d.Text)
		}
		excused := sum(d.Text, `, (\d+) findings? excused`)
		of := sum(d.Text, `(?:ago|in \d+ \w+|just now) (\d+) `) + sum(d.Text, `which excuses? (\d+) finding`) + sum(d.Text, `(\d+) findings? of all (?:is|are) excused by waivers that no policy`)
		if excused == 0 || of != excused {
			t.Errorf("%s: %d findings are excused, the lists have %d: %s", query, excused, of, d.Text)
		}
	}
}

// People read the last day on which something counts: at its end it does, and then no more.
func TestLastDays(t *testing.T) {
	b, id := excepted()
	day := func(n int) time.Time { return time.Date(2026, 11, 3+n, 0, 0, 0, 0, time.UTC) }
	b.Waivers = []muster.Waiver{{ID: "W-1", Control: "MVS-ENC-01", Reason: "r", Approver: "a", Approved: day(0), Expires: day(9)}}
	b.Attestations = []muster.Attestation{{ID: "A-1", Claim: "restore_tested", County: "56021", On: day(0), By: "b", Until: day(9)}}
	b.Asked = []muster.Ask{{ID: 1, County: "56021", Control: "MVS-ENC-01", Reason: "r", By: "c", At: day(0), Until: day(8), State: muster.AskOpen}}
	b.Catalogue[0].Lists, b.Catalogue[1].Lists = []string{"attestations"}, []string{"attestations"}
	at := func(when time.Time) func(o *web.Options) {
		return func(o *web.Options) { o.Now = func() time.Time { return when } }
	}
	last, after := day(9).Add(-time.Second), day(9)
	d := open(t, policed(t, b, officer, at(last)), "/exceptions")
	d.has(t, "1 waiver in force", "11 November 2026 just now 0", "11 November 2026 due soon", "until 11 November 2026. Asked", "Grant it")
	d.hasNot(t, "2026 overdue", "that ended", "a day that has passed", "12 November")
	d = open(t, policed(t, b, officer, at(after)), "/exceptions")
	d.has(t, "No waiver is in force", "1 waiver that ended", "1 attestation is overdue", "11 November 2026 overdue", "until 11 November 2026, a day that has passed.", "Decline it")
	d.hasNot(t, "Grant it", "until 12 November")
	control := "/controls/" + b.Catalogue[0].ID
	d = open(t, policed(t, b, officer, at(last)), control)
	d.has(t, "Until 11 November 2026, just now, approved by a", "by b, until 11 November 2026. A-1 due soon")
	open(t, policed(t, b, officer, at(after)), control).has(t, "Ended just now", "ended, by b, until 11 November 2026. A-1 overdue")
	b.Findings = append(b.Findings, muster.FindingStanding{Host: id, Control: b.Catalogue[1].ID, Status: muster.StatusUnknown, Since: now})
	open(t, policed(t, b, officer, at(last)), "/hosts/"+string(id)).has(t, "by b, until 11 November 2026. A-1 due soon")
	open(t, policed(t, b, officer, at(after)), "/hosts/"+string(id)).hasNot(t, "A-1 due soon", "A-1 overdue")
}

// An officer sees what people's word is missing, and has the lines for it.
func TestMissingAttestations(t *testing.T) {
	b, id := excepted()
	taker := &b.Catalogue[0]
	taker.Lists = []string{"attestations"}
	with := func(o *web.Options) { o.Claims = map[string][]string{taker.ID: {"restore_tested"}} }
	b.Findings = append(b.Findings, muster.FindingStanding{Host: id, Control: taker.ID, Status: muster.StatusUnknown, Since: now})
	b.Findings = slices.DeleteFunc(b.Findings, func(f muster.FindingStanding) bool { return f.Control == taker.ID && f.Waiver != "" })
	b.Attestations = []muster.Attestation{{ID: "A-3", Claim: "restore_tested", County: "56001", On: now.AddDate(-1, 0, 0), By: "another \"clerk\"", Until: now.AddDate(0, 0, 9)}}
	d := open(t, policed(t, b, officer, with), "/exceptions")
	d.has(t, "1 attestation is missing.", "A-3 Albany County another \"clerk\"", "due soon", "1 attestation that nobody has given", taker.Title, "Laramie County 1 computer", "What to put into the policy for what is overdue, due soon or missing")
	if !slices.Contains(d.Links, "/counties/56021#contacts") {
		t.Errorf("nobody to ask: %v", d.Links)
	}
	page := get(policed(t, b, officer, with), "/exceptions").Body.String()
	_, lines, _ := strings.Cut(page, "attestations/data.yaml")
	_, lines, _ = strings.Cut(lines, "<pre tabindex=\"0\"><code>")
	lines, _, _ = strings.Cut(lines, "</code>")
	var v any
	if err := yaml.Unmarshal([]byte(html.UnescapeString(lines)), &v); err != nil {
		t.Fatalf("%v\n%s", err, lines)
	}
	var got []muster.Attestation
	if err := policies.ParseExceptions(v, &got, true); err != nil {
		t.Fatalf("%v\n%s", err, lines)
	}
	want := []muster.Attestation{{ID: "restore_tested-56001-2026-11-03", Claim: "restore_tested", County: "56001", By: "another \"clerk\""}, {ID: "restore_tested-56021-2026-11-03", Claim: "restore_tested", County: "56021"}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	open(t, policed(t, b, officer, with), "/hosts/"+string(id)).has(t, "Nobody vouches for: restore tested ("+taker.ID+").")
	open(t, policed(t, b, clerk, with), "/exceptions?county=56021").has(t, "1 attestation is missing.", "Laramie County")
	d = open(t, policed(t, b, officer, with), "/exceptions?county=56021&control="+b.Catalogue[1].ID)
	d.hasNot(t, "Attestations", "missing")

	// A word for everyone takes the place of all.
	b.Attestations = append(b.Attestations, muster.Attestation{ID: "A-9", Claim: "restore_tested", On: now.AddDate(0, 0, -1), By: "the state", Until: now.AddDate(1, 0, 0)})
	open(t, policed(t, b, officer, with), "/exceptions").hasNot(t, "missing", "overdue", "due soon")
	b.Attestations = b.Attestations[:1]
	b.Attestations[0].County = "56021"
	open(t, policed(t, b, officer, with), "/counties/56021").has(t, "To be attested again restore tested due soon last by another \"clerk\", until 12 November 2026", "All exceptions")
}

// Whom words are about is asked at once, however many there are.
func TestWordsAskOnce(t *testing.T) {
	b, id := excepted()
	b.Catalogue[0].Lists = []string{"attestations"}
	for n := range 500 {
		host := muster.NewHostID(fmt.Append(nil, n))
		if n == 400 {
			host = id
		}
		b.Attestations = append(b.Attestations, muster.Attestation{ID: fmt.Sprint("A-host-", n), Claim: "restore_tested", Host: host, On: now.AddDate(0, 0, -1), By: "x", Until: now.AddDate(0, 0, 40+n)})
		b.Waivers = append(b.Waivers, muster.Waiver{ID: fmt.Sprint("W-host-", n), Control: b.Catalogue[0].ID, Host: host, Approved: now.AddDate(0, 0, -1), Expires: now.AddDate(0, 0, 400+n)})
	}
	for _, path := range []string{"/controls/" + b.Catalogue[0].ID, "/controls/" + b.Catalogue[0].ID + "?county=56021", "/exceptions", "/exceptions?county=56021"} {
		asked := 0
		d := open(t, policed(t, b, officer, func(o *web.Options) { o.Reader = hostsAsked{b, &asked} }), path)
		if asked > 9 {
			t.Errorf("%s asks %d times for hosts", path, asked)
		}
		if strings.Contains(path, "county") {
			d.has(t, "A-host-400", "W-host-400")
			d.hasNot(t, "A-host-1", "W-host-1", "W-other")
		}
	}
}

// hostsAsked counts how often hosts are asked for by their id.
type hostsAsked struct {
	*storybook.Book
	n *int
}

func (h hostsAsked) Host(ctx context.Context, v muster.View, id muster.HostID) (muster.HostStanding, error) {
	*h.n++
	return h.Book.Host(ctx, v, id)
}

func (h hostsAsked) HostsAmong(ctx context.Context, county muster.County, ids []muster.HostID) ([]muster.HostStanding, error) {
	*h.n++
	return h.Book.HostsAmong(ctx, county, ids)
}

// What is shown for the policy is what the policy reads, whatever was written.
func TestLinesOfAGrantedRequest(t *testing.T) {
	for name, reason := range hostile {
		b, id := excepted()
		ask := b.Asked[1]
		b.Attestations = nil
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
	open(t, policed(t, b, officer), "/exceptions/ask?control=MVS-ENC-01").has(t, "Laramie County Ask for a waiver", "Ask for it") // the only one
	d := open(t, policed(t, storybook.Example(now), officer), "/exceptions/ask?control=MVS-ENC-01")
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
			if d.Code != http.StatusOK || strings.ContainsAny(d.Text, "\u202E\u200B\u2060\x00\x1b") || len(d.Text) > 80000 {
				t.Errorf("%s: %s answers %d with %d bytes, or shows an invisible character", name, path, d.Code, len(d.Text))
			}
		}
	}
}

package main

import (
	"fmt"
	"net/http/httptest"
	"testing"
	"time"
	_ "time/tzdata" // for computers without it

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web/internal/browser"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// elsewhere opens a page of an invented state of early November, when clocks were set back
// five days before, in the browser of someone in Chicago.
func elsewhere(t *testing.T, path func(*stage) string) *browser.Tab {
	t.Helper()
	s, err := newStage(time.Date(2026, 11, 5, 15, 4, 5, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	b := browser.Open(t, server.URL)
	if _, err := chromedp.Call(b.Ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "America/Chicago"}); err != nil {
		t.Fatal(err)
	}
	b.Visit(path(s))
	return b
}

// written times of the page: exact ones, and ages.
type written struct{ Instant, Text, Title, Exact string }

const times = `[...document.querySelectorAll("main time, footer time")].map((one) =>
	({ Instant: one.dateTime, Text: one.textContent, Title: one.title, Exact: one.dataset.exact ?? "" }))`

// Every exact time is told in the reader's zone, before and after its clocks were set
// back, and that of the collector when pointed at.
func TestTimesAreTheReaders(t *testing.T) {
	chicago, err := time.LoadLocation("America/Chicago")
	if err != nil {
		t.Fatal(err)
	}
	layouts := map[string]string{"long": "2 January 2006, 15:04 MST", "short": "2 Jan 2006, 15:04 MST"}
	b := elsewhere(t, func(s *stage) string { return "/hosts/" + string(s.worst()) })
	b.Wait(`document.querySelector("footer button") !== null`) // the script has run
	zones := map[string]int{}
	for _, one := range browser.Value[[]written](b, times) {
		at, err := time.Parse(time.RFC3339, one.Instant)
		if err != nil {
			t.Fatal(err)
		}
		text, title := one.Text, at.In(chicago).Format("2 January 2006, 15:04 ")+map[string]string{"CDT": "Central Daylight Time", "CST": "Central Standard Time"}[at.In(chicago).Format("MST")]
		if one.Exact != "" {
			text, title = at.In(chicago).Format(layouts[one.Exact]), at.Format("2 January 2006, 15:04:05 UTC")
			zones[at.In(chicago).Format("MST")+one.Exact]++
		}
		if one.Text != text || one.Title != title {
			t.Errorf("%s is told as %q and %q, not %q and %q", one.Instant, one.Text, one.Title, text, title)
		}
	}
	if zones["CSTlong"] == 0 || zones["CSTshort"] == 0 || zones["CDTshort"] == 0 {
		t.Errorf("the page has no time before and after the change: %v", zones)
	}
}

// Without scripts every exact time is in UTC, and says so.
func TestTimesWithoutScripts(t *testing.T) {
	b := elsewhere(t, func(*stage) string { return "/" })
	b.Scripts(false)
	b.Visit("/log")
	exact := 0
	for _, one := range browser.Value[[]written](b, times) {
		at, err := time.Parse(time.RFC3339, one.Instant)
		if err != nil {
			t.Fatal(err)
		}
		if one.Exact != "" {
			exact++
		}
		if want := at.Format("2 January 2006, 15:04 UTC"); one.Exact != "" && one.Text != want || one.Exact == "" && one.Title != want {
			t.Errorf("%+v, want %q", one, want)
		}
	}
	if exact < 10 {
		t.Errorf("%d exact times", exact)
	}
}

// hasty makes the pauses of a page short, and lets a test put its clock forward.
const hasty = `(() => {
	const later = setInterval, now = Date.now;
	window.ticks = window.forward = 0;
	window.setInterval = (what, pause, ...rest) => later(() => { what(...rest); ticks++; }, 20);
	Date.now = () => now() + forward;
	window.ages = () => [...document.querySelectorAll("main time:not([data-exact])")].map((one) => one.textContent);
})()`

// Ages go on while a page is looked at; what is told of the past grows no older.
func TestTimesGoOn(t *testing.T) {
	b := open(t)
	if _, err := chromedp.Call(b.Ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: hasty}); err != nil {
		t.Fatal(err)
	}
	for query, hours := range map[string]int{"": 3, "?as_of=" + time.Now().UTC().AddDate(0, 0, -7).Format(time.DateOnly): 0} {
		b.Visit("/changes" + query)
		b.Wait(`ticks > 1`)
		before := browser.Value[[]string](b.Tab, `ages()`)
		browser.Value[bool](b.Tab, `forward = 3 * 3600e3, ticks = 0, true`)
		b.Wait(`ticks > 1`)
		told := 0
		for i, after := range browser.Value[[]string](b.Tab, `ages()`) {
			var was int
			var ago string
			if _, err := fmt.Sscanf(before[i], "%d hours %s", &was, &ago); err != nil || was > 40 {
				continue
			}
			told++
			if want := fmt.Sprintf("%d hours %s", was+hours, ago); after != want {
				t.Errorf("%q: %s became %s, not %s", query, before[i], after, want)
			}
		}
		if told == 0 {
			t.Errorf("%q: no age in hours is on the page: %q", query, before)
		}
	}
}

// worst host of the state.
func (s *stage) worst() muster.HostID { return storybook.Example(s.start.UTC()).Worst().ID }

package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/internal/fips"
)

// Each of the officer's questions has its answer beside the map.
func TestOverviewAnswers(t *testing.T) {
	b := storybook.Example(now)
	h := mustNew(t, b, b.Catalogue)
	d := open(t, h, "/")
	inOrder(t, d.Text, "Weakest", "0 of", "Got worse", "fail on more computers", "since yesterday since last week",
		"In several counties Web browsers are up to date: fails on 4 more computers than a day before, in 4 counties. Carbon County 1, Goshen County 1, Natrona County 1, and 1 more county",
		"Gone quiet", "not heard from", "expected and missing", "New policy Version 14, ring canary. Not yet: 3 verdicts that passed before do not pass under it.", "Waiting", "computers wait for approval.", "Got worse since yesterday Compare with last week Against 2 November 2026, 12:00 UTC")
	week := open(t, h, "/?since=week")
	week.has(t, "Got worse since last week Compare with yesterday Against 27 October 2026, 12:00 UTC")

	// What is told of the present only is not told of the past.
	past := open(t, h, "/?as_of=2026-11-02")
	past.has(t, "Got worse since the day before Compare with the week before Against 2 November 2026, 00:00 UTC")
	past.hasNot(t, "New policy", "Waiting for approval", "wait for approval.")
}

// Numbers of a day before and of now, in counties with a host each.
func TestGotWorse(t *testing.T) {
	b := &storybook.Book{Catalogue: []muster.Control{{ID: "MVS-ENC-01", Title: "The disk is encrypted", Severity: muster.SeverityCritical}}}
	b.Daily = map[muster.County][]muster.DayStanding{}
	for i, county := range fips.Counties("56")[:5] {
		id := muster.NewHostID([]byte(county))
		failing := i > 0
		b.Fleet = append(b.Fleet, muster.HostStanding{Host: muster.Host{ID: id, Hostname: fmt.Sprint("PC-", i), County: county, Profile: muster.Workstation, Platform: muster.Linux},
			State: muster.HostActive, Seq: 1, LastSeen: now, CollectedAt: now, Summary: muster.Summary{MeetsBaseline: !failing}})
		status := muster.StatusPass
		if failing {
			status = muster.StatusFail
			b.Transitions = append(b.Transitions, muster.Transition{Host: id, Control: "MVS-ENC-01", From: muster.StatusPass, To: status, Seq: 1, ReceivedAt: now.Add(-time.Hour)})
		}
		b.Findings = append(b.Findings, muster.FindingStanding{Host: id, Control: "MVS-ENC-01", Status: status, Since: now})
		b.Daily[county] = []muster.DayStanding{{Day: now.Truncate(24*time.Hour).AddDate(0, 0, -2), CountyStanding: muster.CountyStanding{County: county, Hosts: 1, Meeting: 1}}}
	}
	d := open(t, mustNew(t, b, b.Catalogue), "/")
	d.has(t, "1 control fails on more computers, 4 counties became weaker.", "The disk is encrypted: fails on 4 more computers than a day before, in 4 counties. Big Horn County 1,",
		"when 5 of 5 computers met the baseline.", "The disk is encrypted critical MVS-ENC-01 4 from 0 4 from 0", "Big Horn County 0 of 1 1 of 1")
	d.hasNot(t, "Albany County 1 of 1 1 of 1")

	// Nothing to compare with: a collector of today.
	b.Daily, b.Transitions = map[muster.County][]muster.DayStanding{}, nil
	d = open(t, mustNew(t, b, b.Catalogue), "/")
	d.has(t, "There is nothing yet to compare with.", "Nothing spread within a day.", "There is no day to show yet.")
	d.hasNot(t, "Got worse since")
}

// young is a state of which nothing is known before today.
type young struct{ *storybook.Book }

func (y young) Counties(ctx context.Context, v muster.View) ([]muster.CountyStanding, error) {
	if !v.Now() {
		return nil, nil
	}
	return y.Book.Counties(ctx, v)
}

func (y young) Controls(ctx context.Context, v muster.View, county muster.County) ([]muster.ControlStanding, error) {
	if !v.Now() {
		return nil, nil
	}
	return y.Book.Controls(ctx, v, county)
}

func (y young) ControlCounties(ctx context.Context, v muster.View, control string) ([]muster.CountyControl, error) {
	if !v.Now() {
		return nil, nil
	}
	return y.Book.ControlCounties(ctx, v, control)
}

// A state that is younger than what it is compared with is said to be so, and one without
// failures is not taken for it.
func TestGotWorseOfAYoungState(t *testing.T) {
	b, _ := one(nil)
	for _, query := range []string{"", "?since=week"} {
		d := open(t, mustNew(t, young{b}, b.Catalogue), "/"+query)
		d.has(t, "Got worse There is nothing yet to compare with. since yesterday since last week In several counties There is nothing yet to compare with.")
		d.hasNot(t, "Got worse since")
	}
}

// A page of the past speaks of that day, and in hindsight says of which day it counts.
func TestPastSpeaksOfThePast(t *testing.T) {
	b := storybook.Example(now)
	healthy, _ := one(nil)
	empty := &storybook.Book{}
	for _, book := range []*storybook.Book{b, healthy, empty} {
		h := mustNew(t, book, b.Catalogue)
		for _, query := range []string{"?as_of=2026-11-02", "?as_of=2026-11-02T15:00:00Z&known=now", "?since=week&as_of=2026-11-02"} {
			for _, path := range []string{"/", "/changes", "/quiet"} {
				d := open(t, h, path+query)
				_, page, _ := strings.Cut(d.Text, "To now As it was shown")
				if _, hindsight, ok := strings.Cut(d.Text, "To now What is known now"); ok {
					page = hindsight
				}
				_, page, _ = strings.Cut(page, "To now")
				page, _, _ = strings.Cut(page, "What the words mean")
				if strings.TrimSpace(page) == "" {
					t.Fatalf("%s has no page between its banner and its foot:\n%s", path+query, d.Text)
				}
				for _, word := range []string{" now", "Now ", "yesterday", "last week", "today", "lately", " has reported", "have been", "has changed", "wait for", "waits for",
					"computer reports", "computers fail ", "computers that fail", "control fails", " meet the baseline", " meets the baseline", " is weaker", " do not meet it", "To begin", "Ask the county"} {
					if i := strings.Index(page, word); i >= 0 {
						t.Errorf("%s says %q: …%s", path+query, word, page[max(0, i-60):min(len(page), i+60)])
					}
				}
			}
		}
	}
	h := mustNew(t, b, b.Catalogue)
	for _, path := range []string{"/", "/quiet"} {
		open(t, h, path+"?as_of=2026-11-02T15:00:00Z&known=now").has(t, "Counts are of the end of 1 November 2026, UTC, the last day that had ended.")
		open(t, h, path+"?as_of=2026-11-02&known=now").hasNot(t, "Counts are of the end")
		open(t, h, path+"?as_of=2026-11-02T15:00:00Z").hasNot(t, "Counts are of the end")
	}
}

// The officer's questions and the clerk's are each answered on the first page, or behind
// two of its links.
func TestWaysToAnswers(t *testing.T) {
	b := storybook.Example(now)
	h := mustNew(t, b, b.Catalogue)
	for question, way := range map[string]struct {
		links []string // their beginnings: each is the first such on the page before
		says  string   // the last page
	}{
		"where are we weakest":                       {[]string{"/counties/56013"}, "County"},
		"what got worse since yesterday":             {nil, "Got worse since yesterday"},
		"what got worse since last week":             {[]string{"/?since=week"}, "Got worse since last week"},
		"how is it worse":                            {[]string{"/controls/MVS-UPD-05"}, "Web browsers are up to date"},
		"who has gone quiet":                         {[]string{"/quiet"}, "The longest silent first"},
		"who is missing":                             {[]string{"/quiet"}, "Expected and missing"},
		"is the new policy safe":                     {nil, "Not yet: 3 verdicts that passed before do not pass under it."},
		"what did it do where it is":                 {[]string{"/policies/14"}, "Not yet:"},
		"is something happening in several counties": {nil, "In several counties Web browsers are up to date: fails on 4 more computers"},
		"in which":                                   {[]string{"/controls/MVS-UPD-05"}, "Across the state"},
		"are my computers all right":                 {[]string{"/counties/56021"}, "of 4 computers meet the baseline"},
		"what exactly shall I do first":              {[]string{"/counties/56021"}, "What to do"},
	} {
		d := open(t, h, "/")
		for _, begins := range way.links {
			i := slices.IndexFunc(d.Links, func(l string) bool { return strings.HasPrefix(l, begins) })
			if i < 0 {
				t.Fatalf("%s: there is no link to %s among %v", question, begins, d.Links)
			}
			d = open(t, h, d.Links[i])
		}
		if !strings.Contains(d.Text, way.says) {
			t.Errorf("%s: %v leads to a page without %q:\n%s", question, way.links, way.says, d.Text)
		}
	}
}

// Where all is well every question is answered all the same.
func TestOverviewOfAHealthyState(t *testing.T) {
	b, _ := one(nil)
	b.Daily = map[muster.County][]muster.DayStanding{"": {}, "56021": {{Day: now.AddDate(0, 0, -9).Truncate(24 * time.Hour),
		CountyStanding: muster.CountyStanding{County: "56021", Hosts: 1, Meeting: 1}}}}
	d := open(t, mustNew(t, b, b.Catalogue), "/")
	d.has(t, "None: every computer meets the baseline.", "Got worse Nothing.", "Nothing spread within a day.", "Gone quiet Every computer has reported in time.",
		"Nobody waits for approval.", "No control fails on more computers than then.", "No county is weaker than then.")
	d.hasNot(t, "New policy")
}

// Everyone sees who waits; to approve it takes a look at its id, which is on a page of its own.
func TestOverviewOfWhoWaits(t *testing.T) {
	b, _ := one(nil)
	waiting := b.Fleet[0]
	waiting.ID, waiting.State, waiting.Waits = muster.NewHostID([]byte("waiting")), muster.HostPending, muster.WaitsNew
	b.Fleet = append(b.Fleet, waiting)
	d := open(t, mustNew(t, b, b.Catalogue), "/")
	d.has(t, "Waiting for approval What it reports is kept, and counted nowhere until then.", "CLERK-01 Laramie County 31 days ago Look at it")
	d.hasNot(t, "Approve CLERK-01")
}

// The largest states are within what a page may weigh, with the map and without, with every county
// reporting and in the past, where links are longest.
func TestOverviewOfALargeStateIsLight(t *testing.T) {
	for _, state := range []string{"48", "02"} {
		b := storybook.Example(now)
		counties := fips.Counties(state)
		for i := range b.Fleet {
			b.Fleet[i].County = counties[i%len(counties)]
		}
		b.Daily = nil
		for i, county := range counties {
			for n := range 3 {
				b.Fleet = append(b.Fleet, muster.HostStanding{Host: muster.Host{ID: muster.NewHostID(fmt.Appendf(nil, "%d %d", i, n)), Hostname: "PC", County: county},
					State: muster.HostActive, Seq: 1, Stale: n == 0, LastSeen: now.AddDate(0, -1, 0), Summary: muster.Summary{MeetsBaseline: n == 1}})
			}
		}
		h := mustNew(t, b, b.Catalogue)
		for path, most := range map[string]int{"/?as_of=2026-11-03T14:04:00.123456Z&known=now": 150, "/": 150, "/changes": 60, "/quiet": 60,
			"/changes?as_of=2026-11-03T14:04:00.123456Z": 60, "/quiet?as_of=2026-11-03T14:04:00.123456Z": 60} {
			if n := get(h, path).Body.Len(); n > most<<10 {
				t.Errorf("state %s: %s weighs %d bytes", state, path, n)
			}
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Accept-Encoding", "gzip")
			if h.ServeHTTP(w, r); w.Body.Len() > 60<<10 {
				t.Errorf("state %s: %s is %d bytes on the wire", state, path, w.Body.Len())
			}
		}
	}
}

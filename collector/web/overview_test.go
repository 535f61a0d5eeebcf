package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
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
		"In several counties Web browsers are up to date: fails in 10 counties, newly in 5.",
		"Gone quiet", "not heard from", "expected and missing", "New policy Version 14 is offered to ring canary", "run it.",
		"3 verdicts that passed before do not pass under it.", "Waiting", "computers wait for approval.", "Got worse since yesterday Compare with last week Against 2 November 2026, 12:00 UTC")
	week := open(t, h, "/?since=week")
	week.has(t, "Got worse since last week Compare with yesterday Against 27 October 2026, 12:00 UTC")

	// What is told of the present only is not told of the past.
	past := open(t, h, "/?as_of=2026-11-02")
	past.has(t, "Got worse since yesterday Compare with last week Against 2 November 2026, 00:00 UTC")
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
	d.has(t, "1 control fails on more computers, 4 counties became weaker.", "The disk is encrypted: fails in 4 counties, 4 more than a day before. Gone quiet",
		"when 5 of 5 computers met the baseline.", "The disk is encrypted critical MVS-ENC-01 4 from 0 4 from 0", "Big Horn County 0 of 1 1 of 1")
	d.hasNot(t, "Albany County 1 of 1 1 of 1")

	// Nothing to compare with: a collector of today.
	b.Daily, b.Transitions = map[muster.County][]muster.DayStanding{}, nil
	d = open(t, mustNew(t, b, b.Catalogue), "/")
	d.has(t, "There is nothing yet to compare with.", "Nothing spread within a day.", "There is no day to show yet.")
	d.hasNot(t, "Got worse since")
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
	waiting.ID, waiting.State = muster.NewHostID([]byte("waiting")), muster.HostPending
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

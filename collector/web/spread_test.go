package web_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/internal/fips"
)

// busy is a book of counties with so many hosts each, which have all failed to log for
// long and pass what else is asked. fail makes one come to fail a control so long ago.
func busy(counties, hosts int) (b *storybook.Book, fail func(county, host int, control string, ago time.Duration)) {
	b, _ = one(nil)
	b.Fleet, b.Findings, b.Transitions = nil, nil, nil
	at := map[string]int{}
	for c, county := range fips.Counties("56")[:counties] {
		for n := range hosts {
			id := muster.NewHostID(fmt.Append(nil, c, " ", n))
			b.Fleet = append(b.Fleet, muster.HostStanding{Host: muster.Host{ID: id, Hostname: fmt.Sprint("PC-", n), County: county, Profile: muster.Workstation, Platform: muster.Windows},
				State: muster.HostActive, Seq: 1, LastSeen: now, CollectedAt: now})
			for _, control := range []string{"MVS-ENC-01", "MVS-LOG-02"} {
				status := muster.StatusPass
				if n == 0 || control == "MVS-LOG-02" {
					status = muster.StatusFail
				}
				at[fmt.Sprint(c, n, control)] = len(b.Findings)
				b.Findings = append(b.Findings, muster.FindingStanding{Host: id, Control: control, Status: status, Since: now.AddDate(0, -1, 0)})
			}
		}
	}
	return b, func(county, host int, control string, ago time.Duration) {
		f := &b.Findings[at[fmt.Sprint(county, host, control)]]
		f.Status = muster.StatusFail
		b.Transitions = append(b.Transitions, muster.Transition{Host: f.Host, Control: control, From: muster.StatusPass, To: f.Status, Seq: 2, ReceivedAt: now.Add(-ago)})
	}
}

// What spreads is told where every county has failed the control for long, and though it
// is by far not among the newest changes.
func TestSpreadAmongManyChanges(t *testing.T) {
	b, fail := busy(6, 40)
	for n := range 30 {
		for county := range 6 { // the newest changes, of another control and the other way
			b.Transitions = append(b.Transitions, muster.Transition{Host: b.Fleet[40*county+n].ID, Control: "MVS-LOG-02", From: muster.StatusFail, To: muster.StatusPass,
				Seq: 2, ReceivedAt: now.Add(-time.Minute)})
		}
	}
	for county, hosts := range []int{1, 2, 3, 4} {
		for n := range hosts {
			fail(county, n+1, "MVS-ENC-01", 20*time.Hour)
		}
	}
	h := mustNew(t, b, b.Catalogue)
	open(t, h, "/").has(t, "In several counties The disk is encrypted: fails on 10 more computers than a day before, in 4 counties. Carbon County 4, Campbell County 3, Big Horn County 2, and 1 more county Gone quiet")
	open(t, h, "/?as_of=2026-11-03T00:00:00Z").has(t, "The disk is encrypted: failed on 10 more computers than a day before, in 4 counties.")
	open(t, h, "/?as_of=2026-11-02T18:00:00Z").has(t, "Nothing spread within a day.")
}

// What comes and goes at random spreads nowhere, nor what new computers fail as the
// others do, nor one county's trouble.
func TestNoSpread(t *testing.T) {
	b, fail := busy(6, 40)
	for county := range 4 {
		fail(county, 1, "MVS-ENC-01", time.Hour)
	}
	for county := range 3 { // and mended elsewhere
		f := &b.Findings[80*(county+3)]
		f.Status = muster.StatusPass
		b.Transitions = append(b.Transitions, muster.Transition{Host: f.Host, Control: f.Control, From: muster.StatusFail, To: f.Status, Seq: 2, ReceivedAt: now.Add(-time.Hour)})
	}
	open(t, mustNew(t, b, b.Catalogue), "/").has(t, "Nothing spread within a day.")

	b, fail = busy(6, 40)
	for n := range 9 {
		fail(2, n+1, "MVS-ENC-01", time.Hour)
	}
	open(t, mustNew(t, b, b.Catalogue), "/").has(t, "Nothing spread within a day.")
}

// tallied answers with counts of controls alone, of now and of before.
type tallied struct {
	*storybook.Book
	is, was []muster.CountyControl
}

func (c *tallied) ControlCounties(_ context.Context, v muster.View, _ string) ([]muster.CountyControl, error) {
	if v.Now() {
		return c.is, nil
	}
	return c.was, nil
}

// In a large state controls rise and fall in every county every day. What spreads is told
// of all that, in few counties with several hosts each or in many with one.
func TestSpreadAmongChance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	book, _ := one(nil)
	book.Catalogue = nil
	b, told := &tallied{Book: book}, 0
	h := mustNew(t, b, nil)
	for range 6 {
		b.is, b.was = nil, nil
		for n := range 60 {
			for _, county := range fips.Counties("17") {
				c := muster.CountyControl{County: county, ControlStanding: muster.ControlStanding{Control: fmt.Sprintf("C-%02d", n), Fail: 10 + r.IntN(100), Pass: 900}}
				b.was = append(b.was, c)
				mended, failed, new := r.IntN(4), r.IntN(4), r.IntN(20)
				c.Fail, c.Pass = c.Fail+failed-mended, c.Pass-failed+mended
				c.Fail, c.Pass = c.Fail+new/10, c.Pass+new-new/10
				b.is = append(b.is, c)
			}
		}
		text := open(t, h, "/").Text
		told += strings.Count(text, "more computers than a day before")
		for i := range b.is {
			c := &b.is[i]
			if number, _ := strconv.Atoi(string(c.County[2:])); c.Control == "C-17" && number < 8 || c.Control == "C-18" && number < 140 {
				more := map[string]int{"C-17": 15, "C-18": 2}[c.Control]
				c.Fail, c.Pass = c.Fail+more, c.Pass-more
			}
		}
		text = open(t, h, "/").Text
		for _, control := range []string{"Control C-17, which is not in the current policy: fails on", "Control C-18, which is not in the current policy: fails on"} {
			if !strings.Contains(text, control) {
				t.Errorf("%q is not told", control)
			}
		}
	}
	if told > 1 {
		t.Errorf("%d times chance was told in 6 days", told)
	}
}

// The controls that fail are in the order of computers or of counties, and none is left
// out in silence.
func TestOrderOfControls(t *testing.T) {
	b, fail := busy(6, 40)
	for i := range b.Findings {
		b.Findings[i].Status = muster.StatusPass
	}
	for i := range 12 {
		id := fmt.Sprintf("MVS-X-%02d", i)
		b.Catalogue = append(b.Catalogue, muster.Control{ID: id, Title: "Thing " + string(rune('A'+i)), Severity: muster.SeverityHigh})
		for n := range 20 - i {
			b.Findings = append(b.Findings, muster.FindingStanding{Host: b.Fleet[n].ID, Control: id, Status: muster.StatusFail, Since: now})
		}
	}
	for county := range 6 {
		fail(county, 0, "MVS-ENC-01", 9*24*time.Hour)
	}
	h := mustNew(t, b, b.Catalogue)
	d := open(t, h, "/")
	inOrder(t, d.Text, "What fails most by computers by counties", "Thing A high MVS-X-00 20 of 20 1", "Thing H", "5 controls more, in the same order", "Thing I 12", "The disk is encrypted 6", "What changed")
	for _, query := range []string{"?by=counties", "?as_of=2026-11-03&by=counties", "?since=week&by=counties"} {
		d = open(t, h, "/"+query)
		inOrder(t, d.Text, "What fails most by computers by counties", "The disk is encrypted critical MVS-ENC-01 6 of 240 6", "Thing A")
	}
	for _, want := range []string{"/?since=week", "/?since=day&by=counties"} {
		if links := strings.Join(d.Links, " "); !strings.Contains(links, want) {
			t.Errorf("no link to %s in %s", want, links)
		}
	}
}

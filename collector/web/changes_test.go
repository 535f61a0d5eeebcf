package web_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// as serves the pages to a person who may use everything but what is refused.
func as(t *testing.T, b *storybook.Book, p web.Person, refused ...string) http.Handler {
	t.Helper()
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Now: func() time.Time { return now }, Who: func(*http.Request) web.Person { return p },
		May: func(_ muster.Role, pattern string) bool {
			return !strings.Contains(strings.Join(refused, ","), pattern)
		}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// changed is a book with two counties whose hosts changed.
func changed() *storybook.Book {
	b, id := one(nil)
	far := b.Fleet[0]
	far.ID, far.Hostname, far.County = muster.NewHostID([]byte("far")), "FAR-01", "56001"
	b.Fleet = append(b.Fleet, far)
	change := func(host muster.HostID, control string, to muster.Status, ago time.Duration) {
		from := muster.StatusPass
		if to == from {
			from = muster.StatusFail
		}
		b.Transitions = append(b.Transitions, muster.Transition{Host: host, Control: control, From: from, To: to, Seq: 2, ReceivedAt: now.Add(-ago)})
	}
	change(id, "MVS-ENC-01", muster.StatusFail, time.Hour)
	change(far.ID, "MVS-ENC-01", muster.StatusFail, 2*time.Hour)
	change(id, "MVS-LOG-02", muster.StatusPass, 20*time.Hour)
	change(id, "MVS-ENC-01", muster.StatusUnknown, 21*time.Hour)
	return b
}

func TestChanges(t *testing.T) {
	b := changed()
	h := mustNew(t, b, b.Catalogue)
	inOrder(t, open(t, h, "/changes").Text, "What changed", "All counties Albany County Laramie County", "Everything What got worse What got better", "Tuesday, 3 November 2026",
		"The disk is encrypted: began to fail on CLERK-01 Laramie County, 1 hour ago", "The disk is encrypted: began to fail on FAR-01 Albany County, 2 hours ago",
		"Monday, 2 November 2026", "Event logs are large enough: came in order on CLERK-01", "The disk is encrypted: could no longer be checked on CLERK-01")

	d := open(t, h, "/changes?county=56001&way=worse")
	d.has(t, "FAR-01")
	d.hasNot(t, "CLERK-01", "came in order on", "Monday")
	d = open(t, h, "/changes?way=better")
	d.has(t, "came in order on CLERK-01")
	d.hasNot(t, "began to fail on", "no longer be checked on")
	open(t, h, "/changes?county=56001&way=better").has(t, "Nothing of the kind has changed.")

	d = open(t, h, "/changes?as_of=2026-11-02")
	d.has(t, "As it was shown on 2 November 2026", "came in order on CLERK-01")
	d.hasNot(t, "began to fail on")
	empty, _ := one(nil)
	open(t, mustNew(t, empty, empty.Catalogue), "/changes").has(t, "Nothing has changed since the first reports.")
	for _, county := range []string{"x", "1", "560211"} {
		if d := open(t, h, "/changes?county="+county); d.Code != http.StatusNotFound {
			t.Errorf("county %s answers %d", county, d.Code)
		}
	}
}

// What one page cannot hold goes on in a page of the past.
func TestChangesGoOn(t *testing.T) {
	b := changed()
	for i := range 600 {
		b.Transitions = append(b.Transitions, muster.Transition{Host: b.Fleet[0].ID, Control: fmt.Sprintf("MVS-X-%03d", i), From: muster.StatusPass, To: muster.StatusFail,
			Seq: 2, ReceivedAt: now.AddDate(0, 0, -3).Add(-time.Duration(i) * time.Minute)})
	}
	h := mustNew(t, b, b.Catalogue)
	seen := map[string]bool{}
	pages := 0
	for path := "/changes?way=worse"; path != ""; pages++ {
		d := open(t, h, path)
		for _, word := range strings.Fields(d.Text) {
			if strings.HasPrefix(word, "MVS-X-") {
				seen[word] = true
			}
		}
		if path = ""; strings.Contains(d.Text, "What changed before that") {
			path = d.Links[len(d.Links)-1]
		}
	}
	if len(seen) != 600 || pages != 17 {
		t.Errorf("%d of 600 changes on %d pages", len(seen), pages)
	}
}

// In hindsight changes stand under the day on which they were made, however late they
// were told, each day once, and go on in hindsight.
func TestChangesInHindsight(t *testing.T) {
	b := changed()
	for i := range 60 {
		made := now.AddDate(0, 0, -3).Add(-time.Duration(i) * time.Hour)
		b.Transitions = append(b.Transitions, muster.Transition{Host: b.Fleet[0].ID, Control: fmt.Sprintf("MVS-X-%03d", i), From: muster.StatusPass, To: muster.StatusFail,
			Seq: 2, CollectedAt: made, ReceivedAt: made.Add(time.Duration(i%3) * 10 * time.Hour)})
	}
	d := open(t, mustNew(t, b, b.Catalogue), "/changes?as_of=2026-11-01&known=now")
	d.has(t, "Saturday, 31 October 2026", "Friday, 30 October 2026")
	if last := d.Links[len(d.Links)-1]; !strings.HasPrefix(last, "/changes?as_of=2026-10-") || !strings.Contains(last, "known=now") {
		t.Errorf("it goes on at %s", last)
	}
}

// However many controls a host invents, and fails, what others do is told.
func TestInventedChangesPushNothingOut(t *testing.T) {
	b := changed()
	var invented []muster.Transition
	for i := range 3000 {
		invented = append(invented, muster.Transition{Host: b.Fleet[0].ID, Control: fmt.Sprintf("EVIL-%d", i), From: muster.StatusPass, To: muster.StatusFail, Seq: 3, ReceivedAt: now})
	}
	b.Transitions = append(invented, b.Transitions...)
	published := map[string]muster.Control{}
	for _, c := range b.Catalogue {
		published[c.ID] = c
	}
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Published: published, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/changes", "/changes?way=better"} {
		d := open(t, h, path)
		d.has(t, "came in order on CLERK-01")
		d.hasNot(t, "EVIL")
	}
}

// A page that holds nothing of the kind says so, and leads on where more was not looked at.
func TestChangesOfAKind(t *testing.T) {
	b := changed()
	for range 700 {
		b.Transitions = append([]muster.Transition{{Host: b.Fleet[0].ID, Control: "MVS-ENC-01", From: muster.StatusFail, To: muster.StatusPass, Seq: 3, ReceivedAt: now}}, b.Transitions...)
	}
	d := open(t, mustNew(t, b, b.Catalogue), "/changes?way=worse")
	d.has(t, "Nothing of the kind is among the newest 500 changes. What changed before that")
	empty, _ := one(nil)
	open(t, mustNew(t, empty, empty.Catalogue), "/changes?as_of=2026-11-02").has(t, "Nothing had changed since the first reports.")
}

// Who reads one county is offered no other, and no page that is not for them.
func TestChangesForACounty(t *testing.T) {
	b := changed()
	for _, path := range []string{"/changes", "/quiet"} {
		h := as(t, b, web.Person{Counties: []muster.County{"56021"}}, "GET /{$}")
		d := open(t, h, path)
		if d.Code != http.StatusOK {
			t.Errorf("%s answers %d", path, d.Code)
		}
		d.hasNot(t, "FAR-01", "Albany", "All counties")
		for _, l := range d.Links {
			if strings.HasPrefix(l, "/controls/") && !strings.HasSuffix(l, "?county=56021") {
				t.Errorf("%s links to %s", path, l)
			}
		}
		for _, query := range []string{"?county=56001", "?county=x"} {
			if d := open(t, h, path+query); d.Code != http.StatusNotFound {
				t.Errorf("%s answers %d", path+query, d.Code)
			}
		}
		two := as(t, b, web.Person{Counties: []muster.County{"56001", "56021"}})
		d = open(t, two, path+"?county=56001")
		d.has(t, "Albany County Laramie County")
		if d := open(t, two, path); d.Code != http.StatusNotFound {
			t.Errorf("%s of no county answers %d", path, d.Code)
		}
	}
}

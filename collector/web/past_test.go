package web_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// askedOf remembers by which view it was asked.
type askedOf struct {
	*storybook.Book
	views map[muster.View]bool
}

func (a askedOf) Counties(ctx context.Context, v muster.View) ([]muster.CountyStanding, error) {
	a.views[v] = true
	return a.Book.Counties(ctx, v)
}

func (a askedOf) Host(ctx context.Context, v muster.View, id muster.HostID) (muster.HostStanding, error) {
	a.views[v] = true
	return a.Book.Host(ctx, v, id)
}

// timeless are the pages that have no past.
var timeless = []string{"/policies", "/pending", "/exceptions", "/courier", "/people", "/log", "/counties/56021/edit"}

func TestPagesOfThePast(t *testing.T) {
	at := now.Add(-time.Hour)
	for query, c := range map[string]struct {
		want  muster.View
		words string
	}{
		"?as_of=2026-11-03T14%3A04%3A00Z":           {muster.View{At: at}, "As it was shown on 3 November 2026, 14:04 UTC. To now"},
		"?as_of=2026-11-03T14%3A04%3A00Z&known=now": {muster.View{At: at, Known: muster.KnownNow}, "What is known now about 3 November 2026, 14:04 UTC. To now"},
	} {
		b, id := one(nil)
		b.Absent = []muster.ExpectedHost{{County: "56021", Name: "CLERK-09", Note: "at the counter", Since: now.AddDate(0, -1, 0)}}
		reader := askedOf{b, map[muster.View]bool{}}
		h := mustNew(t, reader, b.Catalogue)
		for _, path := range []string{"/", "/counties/56021", "/hosts/" + string(id), "/controls/MVS-ENC-01"} {
			d := open(t, h, path+query)
			if d.Code != http.StatusOK {
				t.Errorf("%s answers %d", path+query, d.Code)
			}
			d.has(t, c.words, "this page is of 3 November 2026, 14:04 UTC")
			d.hasNot(t, "Ask for an audit", "Waiting for approval")
			for _, l := range d.Links {
				address, _, _ := strings.Cut(strings.Replace(l, "&as_of", "?as_of", 1), "#")
				if l != path && !slices.Contains(timeless, l) && !strings.HasSuffix(address, query) {
					t.Errorf("%s loses the instant in the link %s", path+query, l)
				}
			}
		}
		delete(reader.views, muster.View{At: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC).Add(-time.Microsecond), Known: c.want.Known}) // what it is compared with
		if len(reader.views) != 1 || !reader.views[c.want] {
			t.Errorf("the store was asked as of %v", reader.views)
		}
		open(t, h, "/hosts/"+string(id)+query).has(t, "1 hour ago, 3 November 2026, 13:04 UTC")
		open(t, h, "/policies"+query).hasNot(t, c.words)
	}
}

func TestNoInstant(t *testing.T) {
	b, _ := one(nil)
	h := mustNew(t, b, b.Catalogue)
	for _, query := range []string{"?as_of=yesterday", "?as_of=2027-01-01", "?known=now", "?known=x", "?as_of=2026-11-03T12:00:00Z&known=x"} {
		if d := open(t, h, "/"+query); d.Code != http.StatusBadRequest {
			t.Errorf("%s answers %d", query, d.Code)
		} else {
			d.has(t, "This is no instant of the past", "as_of=2026-11-03")
		}
	}
}

func TestMissingAndWaiting(t *testing.T) {
	b, _ := one(nil)
	b.Absent = []muster.ExpectedHost{
		{County: "56021", Name: "CLERK-09", Profile: muster.Workstation, Note: "at the counter", Since: now.AddDate(0, -1, 0)},
		{County: "56021", Name: "CLERK-01", Host: b.Fleet[0].ID, Since: now},
		{County: "56001", Name: "EMS-01", Since: now},
	}
	waiting := b.Fleet[0]
	waiting.ID, waiting.State, waiting.Waits = muster.NewHostID([]byte("waiting")), muster.HostPending, "It comes from the node of another computer."
	b.Fleet = append(b.Fleet, waiting)
	h := mustNew(t, b, b.Catalogue)
	open(t, h, "/").has(t, "2 are expected and missing, not counted", "It comes from the node of another computer.", "Laramie County 1 waiting for approval 1 expected and missing")
	d := open(t, h, "/counties/56021")
	d.has(t, "1 is expected and missing, not counted", "Expected and missing The county says it has these computers. None that reports here is named like them. CLERK-09 Workstation, at the counter, expected since 3 October 2026")
	d.hasNot(t, "EMS-01")
	open(t, h, "/counties/56001").has(t, "No computer of this county has reported yet.", "EMS-01")
}

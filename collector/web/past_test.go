package web_test

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
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
var timeless = []string{"/policies", "/policies/14", "/pending", "/exceptions", "/exceptions/ask", "/courier", "/people", "/log", "/counties/56021/edit", "/search"}

// Who comes to a page without a past from a past instant is told, and led back.
func TestPagesWithoutAPast(t *testing.T) {
	b := storybook.Example(now)
	const at = "?as_of=2026-11-01T14%3A04%3A00Z&known=now"
	for _, path := range timeless {
		d := open(t, policed(t, b, officer), path+at)
		d.has(t, "This page always shows now, not 1 November 2026, 14:04 UTC. Back to then Stay in the present")
		for _, back := range []string{"/" + at, "/changes" + at, "/log" + at, path} {
			if !slices.Contains(d.Links, back) {
				t.Errorf("%s leads not to %s: %v", path, back, d.Links)
			}
		}
		open(t, policed(t, b, officer), path).hasNot(t, "This page always shows now", "Back to then")
		if code := get(policed(t, b, officer), path+"?as_of=soon").Code; code != http.StatusBadRequest {
			t.Errorf("%s?as_of=soon answers %d", path, code)
		}
	}
	if page := get(policed(t, b, officer), "/"+at).Body.String(); !strings.Contains(page, `<input type="hidden" name="as_of" value="2026-11-01T14:04:00Z"/>`) {
		t.Error("the search of a past page forgets the instant")
	}
	d := open(t, policed(t, b, clerk), "/exceptions"+at+"&county=56021")
	d.has(t, "This page always shows now")
	if !slices.Contains(d.Links, "/counties/56021"+at) {
		t.Errorf("a clerk is not led back: %v", d.Links)
	}
	d = open(t, policed(t, b, clerk), "/counties/56021"+at)
	if !slices.ContainsFunc(d.Links, func(l string) bool {
		return strings.HasPrefix(l, "/exceptions?") && strings.HasSuffix(l, "as_of=2026-11-01T14%3A04%3A00Z&known=now")
	}) {
		t.Errorf("the navigation of a past page forgets the instant: %v", d.Links)
	}
}

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
				if l != path && !strings.HasSuffix(address, query) {
					t.Errorf("%s loses the instant in the link %s", path+query, l)
				}
			}
		}
		for known, at := range map[muster.Knowledge]time.Time{muster.KnownThen: time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC), muster.KnownNow: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)} {
			delete(reader.views, muster.View{At: at.Add(-time.Microsecond), Known: known}) // what it is compared with
		}
		if len(reader.views) != 1 || !reader.views[c.want] {
			t.Errorf("the store was asked as of %v", reader.views)
		}
		open(t, h, "/hosts/"+string(id)+query).has(t, "1 hour before, 3 November 2026, 13:04 UTC")
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

// ofNow are words that only a page about now may say.
var ofNow = regexp.MustCompile(`(?i)\b(today|yet|so far|ago|just now|attention today|has not|have not|has been|must|waits?|meets? the baseline\.|carry the stick|(is|are) not (back|counted)|remains?\.)\b`)

// What a page of a past instant says of a county, a computer or a control is said of then,
// and what is of now is called so.
func TestPagesOfThePastSpeakOfThen(t *testing.T) {
	fail := func(h *muster.HostStanding, b *storybook.Book) {
		b.Findings[0].Status, h.Summary = muster.StatusFail, muster.Summary{Fail: 1}
	}
	at := now.Add(-time.Hour)
	for name, c := range map[string]struct {
		change                func(*muster.HostStanding, *storybook.Book)
		county, host, control string
	}{
		"Meets": {nil, "1 of 1 computer met the baseline. Nothing needed attention.", "Met the baseline Everything that was checked was in order.", "Failed nowhere among 1 computer."},
		"Fails": {fail, "0 of 1 computer met the baseline. One thing was to be fixed first:", "Did not meet the baseline 1 control of critical or high severity failed.", "Failed on 1 of 1 computer, in 1 county."},
		"CannotTell": {func(h *muster.HostStanding, b *storybook.Book) {
			b.Findings[0].Status, h.Summary = muster.StatusUnknown, muster.Summary{Unknown: 1}
		}, "Nothing important was known to fail, but some of it could not be checked.", "Could not tell whether it met the baseline", "Failed nowhere, and could not be checked on 1 of 1 computer."},
		"Stale": {func(h *muster.HostStanding, b *storybook.Book) {
			fail(h, b)
			h.Stale, h.LastSeen = true, now.AddDate(0, 0, -9)
		}, "0 of 1 computer met the baseline. It had not been heard from.", "Its last report had come 8 days before.", "No computer had been asked then."},
		"Waived": {func(h *muster.HostStanding, b *storybook.Book) {
			fail(h, b)
			h.Summary = muster.Summary{Waived: 1, MeetsBaseline: true}
			b.Findings[0].Waiver = "W-1"
		}, "Excused then What was excused is of then. The reasons are those of the policy in force now. The disk is encrypted waived on 1 computer", "", "and was waived on 1."},
		"Lesser": {func(h *muster.HostStanding, b *storybook.Book) {
			b.Findings = append(b.Findings, muster.FindingStanding{Host: h.ID, Control: "MVS-LOG-02", Status: muster.StatusFail, Since: now.AddDate(0, 0, -3)})
		}, "Only smaller things remained.", "Smaller things remained.", ""},
		"NoReport": {func(h *muster.HostStanding, b *storybook.Book) {
			h.Seq, h.LastSeen, h.CollectedAt, h.Summary, h.Profile = 0, time.Time{}, time.Time{}, muster.Summary{}, muster.EMS
			b.Findings = nil
		}, "No report had come.", "its first report had not come. No control had been judged on this computer then.", "No computer had been asked then."},
		"Carried": {func(h *muster.HostStanding, b *storybook.Book) {
			h.Profile, b.Reports = muster.EMS, map[muster.HostID][]muster.ReportStanding{h.ID: {{Host: h.ID, Seq: 3, Way: muster.WayCourier, ReceivedAt: h.LastSeen, CollectedAt: h.LastSeen}}}
		}, "The last report came on a stick 1 hour before. The next was to come by", "", ""},
		"Missing": {func(h *muster.HostStanding, b *storybook.Book) {
			b.Absent = []muster.ExpectedHost{{County: "56021", Name: "CLERK-09", Since: now.AddDate(0, -1, 0)}}
		}, "But missing: 1 computer that the county expected. 1 met the baseline", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, id := one(c.change)
			b.People = map[muster.County][]muster.Contact{"56021": {{Name: "Dana Whitfield"}}}
			h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Now: func() time.Time { return now },
				Waivers: []muster.Waiver{{ID: "W-1", Control: "MVS-ENC-01", Reason: "Soon.", Approved: now.AddDate(0, 0, -9), Expires: now.AddDate(0, 0, 9)}}})
			if err != nil {
				t.Fatal(err)
			}
			for _, known := range []string{"", "&known=now"} {
				for path, want := range map[string]string{"/counties/56021": c.county, "/counties/56021/scorecard": "Who to call now Dana Whitfield", "/hosts/" + string(id): c.host,
					"/controls/MVS-ENC-01": c.control, "/counties/56001": "No computer of this county had reported then."} {
					d := open(t, h, path+"?as_of="+at.Format(time.RFC3339)+known)
					d.has(t, want)
					_, text, _ := strings.Cut(d.Text, "To now")
					text, _, _ = strings.Cut(text, "What the words mean")
					if said := ofNow.FindStringIndex(text); said != nil {
						t.Errorf("%s says %q", path+known, text[max(0, said[0]-40):min(len(text), said[1]+20)])
					}
				}
			}
			open(t, h, "/counties/56021?as_of="+at.Format(time.RFC3339)).has(t, "These are of now: who it was then is not kept.")
		})
	}
}

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/browser"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/policies"
)

// crowded is a county where so many hosts fail everything but what is waived, or could
// not be checked, or are not heard from, and every text is as long as it may be.
func crowded(hosts int, now time.Time) *storybook.Book {
	long := func(start string) string {
		return start + strings.Repeat(" of the county's election office", 9)[:200-len(start)]
	}
	b := &storybook.Book{Catalogue: policies.Catalogue()}
	for n := range hosts {
		h := muster.HostStanding{Host: muster.Host{Demo: true, ID: muster.NewHostID(fmt.Append(nil, n)), Hostname: fmt.Sprintf("COUNTY-ELECTION-OFFICE-OF-A-LONG-NAME-AND-A-NUMBER-%012d", n),
			County: "56021", Profile: muster.Workstation, Platform: []muster.Platform{muster.Windows, muster.Linux}[n%2]},
			State: muster.HostActive, Seq: 5, LastSeen: now.Add(-time.Hour), CollectedAt: now.Add(-time.Hour), Stale: n%7 == 3}
		h.Summary = muster.Summary{Fail: 1, MeetsBaseline: n%7 == 5}
		for i, c := range b.Catalogue {
			f := muster.FindingStanding{Host: h.ID, Control: c.ID, Status: muster.StatusFail, Since: now}
			switch {
			case h.Summary.MeetsBaseline:
				f.Status = muster.StatusPass
			case n%7 == 1:
				f.Status = muster.StatusUnknown
			case i%9 == 0:
				f.Waiver = fmt.Sprint("W-", i)
			}
			b.Findings = append(b.Findings, f)
		}
		b.Fleet = append(b.Fleet, h)
	}
	for i, c := range b.Catalogue {
		if i%9 == 0 {
			b.Waivers = append(b.Waivers, muster.Waiver{ID: fmt.Sprint("W-", i), Control: c.ID, County: "56021", Reason: long("Because"), Approved: now.AddDate(0, -1, 0), Expires: now.AddDate(0, 1, 0)})
		}
	}
	b.Fleet = append(b.Fleet, muster.HostStanding{Host: muster.Host{Demo: true, ID: muster.NewHostID([]byte("waits")), County: "56021"}, State: muster.HostPending})
	b.Absent = []muster.ExpectedHost{{County: "56021", Name: "CLERK-09"}}
	b.People = map[muster.County][]muster.Contact{}
	b.Daily = map[muster.County][]muster.DayStanding{}
	for n := range 20 {
		b.People["56021"] = append(b.People["56021"], muster.Contact{Name: long("Clerk"), Duty: long("Deputy clerk"), Phone: long("1"), Email: long("a")})
		b.Daily["56021"] = append(b.Daily["56021"], muster.DayStanding{Day: now.UTC().Truncate(24*time.Hour).AddDate(0, 0, n-20),
			CountyStanding: muster.CountyStanding{County: "56021", Hosts: hosts, Meeting: n, Failing: hosts - n}})
	}
	return b
}

// A scorecard is one page of paper, however much there is to say and however large the
// paper is.
func TestScorecardIsOnePageOfPaper(t *testing.T) {
	now := time.Now().UTC()
	var pages http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pages.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	b := browser.Open(t, server.URL)
	for name, book := range map[string]*storybook.Book{"30": crowded(30, now), "300": crowded(300, now), "state": storybook.Example(now)} {
		county := muster.County("56021")
		if name == "state" {
			county = book.Worst().County
		}
		var err error
		if pages, err = web.New(web.Options{Reader: book, Catalogue: book.Catalogue, Waivers: book.Waivers}); err != nil {
			t.Fatal(err)
		}
		for _, query := range []string{"", "?as_of=" + now.AddDate(0, 0, -1).Format(time.DateOnly)} {
			b.Visit("/counties/" + string(county) + "/scorecard" + query)
			for paper, size := range map[string][2]float64{"Letter": {8.5, 11}, "A4": {8.27, 11.69}} {
				yes := true
				print, err := chromedp.Call(b.Ctx, page.PrintToPDF, page.PrintToPDFParams{PaperWidth: size[0], PaperHeight: size[1], PreferCSSPageSize: &yes, PrintBackground: &yes})
				if err != nil {
					t.Fatal(err)
				}
				if n := len(sheet.FindAll(print.Data, -1)); n != 1 {
					t.Errorf("%s computers%s: %d pages of %s", name, query, n, paper)
				}
			}
		}
	}
}

// sheet is a page in a PDF file.
var sheet = regexp.MustCompile(`/Type\s*/Page\b`)

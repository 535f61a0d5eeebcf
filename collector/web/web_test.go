package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

var now = time.Date(2026, 11, 3, 15, 4, 0, 0, time.UTC)

var clockTime = regexp.MustCompile(`\b\d\d:\d\d\b( UTC)?`)

func TestEveryPageOfAStateIsSoundAndEveryLinkLeadsSomewhere(t *testing.T) {
	book := storybook.Example(now)
	h := mustNew(t, book, book.Catalogue)
	seen := map[string]bool{"/": true}
	kinds, thens := map[string]int{}, map[string]int{}
	for todo := []string{"/"}; len(todo) > 0; todo = todo[1:] {
		d := open(t, h, todo[0])
		if d.Code != http.StatusOK {
			t.Errorf("%s answers %d", todo[0], d.Code)
		}
		path, _, _ := strings.Cut(todo[0], "?")
		if path != "/people" && path != "/courier" { // of no host
			d.has(t, "Demo: these computers are invented.")
		}
		for _, told := range clockTime.FindAllString(d.Text, -1) {
			if !strings.HasSuffix(told, " UTC") {
				t.Errorf("%s tells the time %s and not where", todo[0], told)
			}
		}
		kinds[strings.Split(todo[0], "/")[1]]++
		for _, l := range d.Links {
			l, _, _ = strings.Cut(l, "#")
			kind := strings.Split(l, "?")[0]
			many := kind == "/exceptions/ask" || strings.HasPrefix(kind, "/controls/") // one for each finding, or county
			if seen[l] || strings.HasPrefix(l, "/api/") || many && kinds[kind] > 4 {
				continue
			}
			if strings.Contains(l, "as_of=") {
				const enough = 4 // instants of one kind of page
				if kind = strings.Split(kind, "/")[1]; thens[kind] == enough {
					continue
				}
				thens[kind]++
			}
			kinds[kind]++
			seen[l] = true
			todo = append(todo, l)
		}
	}
	for _, kind := range []string{"", "counties", "hosts", "controls", "policies"} {
		if kinds[kind] == 0 {
			t.Errorf("no page of kind %q was reached: %v", kind, kinds)
		}
	}
}

func TestHowAControlIsChecked(t *testing.T) {
	b, _ := one(nil)
	b.Catalogue[0].Platforms = []muster.Platform{muster.Windows, muster.Linux}
	b.Catalogue[0].Facts, b.Catalogue[0].Also, b.Catalogue[0].Lists = [][]string{{"a", "b"}, {"a"}}, []string{"w"}, []string{"ems_baseline"}
	facts := map[string]muster.Fact{
		"a": {SQL: map[muster.Platform]string{muster.Windows: "SELECT 1 FROM bitlocker_info WHERE x < 2", muster.Linux: "SELECT 2"}},
		"w": {SQL: map[muster.Platform]string{muster.Windows: "SELECT 3"}},
	}
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Facts: facts, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	open(t, h, "/controls/MVS-ENC-01").has(t, "How it is checked", "On Windows: 2 questions a SELECT 1 FROM bitlocker_info WHERE x < 2 w SELECT 3",
		"On Linux: 1 question a SELECT 2", "the list ems_baseline of the policy")
}

// one is a book with a single host of Laramie County.
func one(change func(*muster.HostStanding, *storybook.Book)) (*storybook.Book, muster.HostID) {
	id := muster.NewHostID([]byte("one"))
	h := muster.HostStanding{
		Host:  muster.Host{ID: id, Hostname: "CLERK-01", County: "56021", Profile: muster.Workstation, Platform: muster.Windows},
		State: muster.HostActive, Seq: 3, Summary: muster.Summary{Pass: 1, MeetsBaseline: true}, Agent: "0.1.0", PolicyRevision: "2026.11.1",
		FirstSeen: now.AddDate(0, -1, 0), LastSeen: now.Add(-2 * time.Hour), CollectedAt: now.Add(-2 * time.Hour),
	}
	b := &storybook.Book{
		Catalogue: []muster.Control{{
			ID: "MVS-ENC-01", Title: "The disk is encrypted", Why: "A stolen laptop is a breach.", Severity: muster.SeverityCritical,
			Profiles: []muster.Profile{muster.Workstation}, Platforms: []muster.Platform{muster.Windows},
			Maps: map[string][]string{"cis": {"3.6"}, "local": {"R-1"}}, Remedy: "Ask IT to switch on BitLocker.",
		}, {ID: "MVS-LOG-02", Title: "Event logs are large enough", Severity: muster.SeverityMedium, Remedy: "Ask IT to enlarge the log."}},
		Findings: []muster.FindingStanding{{Host: id, Control: "MVS-ENC-01", Status: muster.StatusPass, Since: now.AddDate(0, 0, -3)}},
		Evidence: map[muster.HostID]map[string]muster.Evidence{id: {}},
	}
	if change != nil {
		change(&h, b)
	}
	b.Fleet = []muster.HostStanding{h}
	return b, id
}

func TestEmptyState(t *testing.T) {
	h := mustNew(t, &storybook.Book{}, nil)
	open(t, h, "/").has(t, "No computer reports yet", "muster-collector site")
	d := open(t, h, "/counties/56021")
	d.has(t, "Laramie County", "No computer of this county has reported yet.")
	d.hasNot(t, "invented")
}

func TestOneHost(t *testing.T) {
	fail := func(h *muster.HostStanding, b *storybook.Book) {
		h.Summary = muster.Summary{Fail: 1}
		b.Findings[0].Status = muster.StatusFail
		b.Evidence[h.ID]["MVS-ENC-01"] = muster.Evidence{Violations: []muster.Violation{{Subject: "C:", Found: "not encrypted", Want: "encrypted"}}, Notes: []string{"D: is encrypted"}}
	}
	for name, c := range map[string]struct {
		change                          func(*muster.HostStanding, *storybook.Book)
		overview, county, host, control []string
	}{
		"Meets": {nil,
			[]string{"1 of 1 computer meets the baseline", "Nothing has changed", "No control is known to fail", "Every computer has reported in time", "Nobody waits"},
			[]string{"1 of 1 computer meets the baseline. Nothing needs your attention today.", "CLERK-01 Meets nothing Workstation, Windows 2 hours ago"},
			[]string{"Meets the baseline", "Everything that was checked is in order.", "In order 1", "2 hours ago, 3 November 2026, 13:04 UTC", "Agrees with the collector's"},
			[]string{"Fails nowhere among 1 computer.", "Nowhere. Every computer that was asked is in order.", "CIS Controls 8.1 3.6", "local R-1", "A stolen laptop is a breach."}},
		"Fails": {fail,
			[]string{"0 of 1 computer meets the baseline", "1 does not meet it", "The disk is encrypted critical MVS-ENC-01 1 of 1"},
			[]string{"0 of 1 computer meets the baseline. One thing to fix first: Fails: The disk is encrypted", "Ask IT to switch on BitLocker.", "On 1 computer CLERK-01", "Does not meet 1 urgent"},
			[]string{"Does not meet the baseline 1 control of critical or high severity fails.", "Fix first 1", "Fails: The disk is encrypted", "since 3 days ago", "C: not encrypted encrypted", "D: is encrypted", "What to do Ask IT"},
			[]string{"Fails on 1 of 1 computer, in 1 county.", "Laramie County CLERK-01 1 of 1 0"}},
		"CannotTell": {func(h *muster.HostStanding, b *storybook.Book) {
			h.Summary = muster.Summary{Unknown: 1}
			b.Findings[0].Status = muster.StatusUnknown
			b.Evidence[h.ID]["MVS-ENC-01"] = muster.Evidence{Reason: "BitLocker did not answer"}
		},
			[]string{"0 of 1 computer meets", "1 cannot tell"},
			[]string{"Nothing important is known to fail, but some of it could not be checked.", "Cannot tell 1 not checked"},
			[]string{"Cannot tell whether it meets the baseline", "Find out 1", "Could not be checked: The disk is encrypted", "Why not BitLocker did not answer"},
			[]string{"Fails nowhere, and could not be checked on 1 of 1 computer.", "Laramie County CLERK-01 0 of 1 1"}},
		"Stale": {func(h *muster.HostStanding, b *storybook.Book) {
			fail(h, b)
			h.Stale, h.LastSeen = true, now.AddDate(0, 0, -9)
		},
			[]string{"1 not heard from", "CLERK-01 Laramie County 9 days ago"},
			[]string{"0 of 1 computer meets the baseline. It has not been heard from.", "Not heard from"},
			[]string{"Not heard from Its last report came 9 days ago.", "Fails: The disk is encrypted"},
			[]string{"No computer has been asked yet.", "1 computer not heard from is left out."}},
		"Waived": {func(h *muster.HostStanding, b *storybook.Book) {
			fail(h, b)
			h.Summary = muster.Summary{Waived: 1, MeetsBaseline: true}
			b.Findings[0].Waiver = "W-2026-014"
		},
			[]string{"1 of 1 computer meets"},
			[]string{"1 of 1 computer meets"},
			[]string{"Waived 1", "Why it is excused Waiver W-2026-014, which the policy in force does not hold."},
			[]string{"and is waived on 1.", "1 waived", "Laramie County CLERK-01, 1 waived 0 of 1 0"}},
		"LesserFail": {func(h *muster.HostStanding, b *storybook.Book) {
			h.Summary = muster.Summary{Pass: 1, Fail: 1, MeetsBaseline: true}
			b.Findings = append(b.Findings, muster.FindingStanding{Host: h.ID, Control: "MVS-LOG-02", Status: muster.StatusFail, Since: now})
		},
			[]string{"1 of 1 computer meets", "Event logs are large enough medium"},
			[]string{"1 of 1 computer meets the baseline. Only smaller things remain.", "Meets 1 less urgent", "Smaller things to fix"},
			[]string{"Nothing that matters most is missing. Smaller things remain.", "Then 1", "since just now"},
			nil},
		"UnknownControl": {func(h *muster.HostStanding, b *storybook.Book) {
			fail(h, b)
			b.Catalogue = nil
		},
			[]string{"Control MVS-ENC-01, which is not in the current policy critical"},
			[]string{"One thing to fix first", "The current policy has no advice for this control."},
			[]string{"Does not meet the baseline"},
			[]string{"The current policy does not hold this control"}},
		"NoReport": {func(h *muster.HostStanding, b *storybook.Book) {
			h.Seq, h.LastSeen, h.CollectedAt, h.Summary = 0, time.Time{}, time.Time{}, muster.Summary{}
			b.Findings = nil
		},
			[]string{"1 cannot tell"},
			[]string{"CLERK-01 Cannot tell no report yet Workstation, Windows never"},
			[]string{"its first report has not come yet", "Last report none yet", "No control has been judged"},
			nil},
		"Conflict": {func(h *muster.HostStanding, _ *storybook.Book) { h.Conflict = true },
			nil, []string{"Two computers may share this identity"}, []string{"Two different reports came with one number."}, nil},
		"CloneByNode": {func(h *muster.HostStanding, _ *storybook.Book) { h.Conflict, h.ConflictReason = true, muster.CloneNode },
			nil, []string{"Two computers may share this identity"}, []string{"It went back to a place in the network that it had left"}, nil},
		"Replaces": {func(h *muster.HostStanding, _ *storybook.Book) { h.Replaces = "hother" },
			nil, nil, []string{"Before the same machine, as hother"}, nil},
		"Replaced": {func(h *muster.HostStanding, _ *storybook.Book) { h.ReplacedBy, h.Stale = "hother", true },
			nil, nil, []string{"Replaced This computer was set up again", "Now the same machine, as hother"}, nil},
		"AuditWanted": {func(h *muster.HostStanding, _ *storybook.Book) {
			h.AuditWanted = now.Add(-time.Minute)
			h.CollectedAt = now.Add(-time.Hour)
		},
			nil, nil, []string{"Ask for an audit now", "Asked for 1 minute ago."}, nil},
		"AuditCame": {func(h *muster.HostStanding, _ *storybook.Book) {
			h.AuditWanted = now.Add(-time.Hour)
			h.LastSeen = now.Add(-time.Minute)
			h.CollectedAt = h.LastSeen
		},
			nil, nil, []string{"Ask for an audit now In order"}, nil},
		"AuditWantedOfClockAhead": {func(h *muster.HostStanding, _ *storybook.Book) {
			h.AuditWanted = now.Add(-time.Minute)
			h.LastSeen = now.Add(-time.Hour)
			h.CollectedAt = now.Add(2 * time.Hour)
		},
			nil, nil, []string{"Asked for 1 minute ago."}, nil},
		"AuditCameOfClockBehind": {func(h *muster.HostStanding, _ *storybook.Book) {
			h.AuditWanted = now.Add(-time.Hour)
			h.LastSeen = now.Add(-time.Minute)
			h.CollectedAt = now.AddDate(0, 0, -40)
		},
			nil, nil, []string{"Ask for an audit now In order"}, nil},
		"ClockAhead": {func(h *muster.HostStanding, _ *storybook.Book) { h.CollectedAt = h.LastSeen.Add(3 * time.Hour) },
			nil, nil, []string{"At least 3 hours ahead of the collector's"}, nil},
		"LateReport": {func(h *muster.HostStanding, _ *storybook.Book) { h.CollectedAt = h.LastSeen.AddDate(0, 0, -4) },
			nil, nil, []string{"Right, or up to 4 days behind: so long its newest report took"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, id := one(c.change)
			h := mustNew(t, b, b.Catalogue)
			open(t, h, "/").has(t, c.overview...)
			open(t, h, "/counties/56021").has(t, c.county...)
			d := open(t, h, "/hosts/"+string(id))
			d.has(t, c.host...)
			if d.Title != "CLERK-01 · State of Example · Muster" {
				t.Errorf("title is %q", d.Title)
			}
			open(t, h, "/controls/MVS-ENC-01").has(t, c.control...)
		})
	}
}

func TestPendingHostIsCountedNowhereAndHasNoPage(t *testing.T) {
	b, id := one(func(h *muster.HostStanding, _ *storybook.Book) { h.State = muster.HostPending })
	h := mustNew(t, b, b.Catalogue)
	open(t, h, "/").has(t, "No computer reports yet", "1 waits for approval, not counted", "CLERK-01 Laramie County 31 days ago Look at it")
	d := open(t, h, "/counties/56021")
	d.has(t, "1 computer waits for approval.")
	d.hasNot(t, "CLERK-01")
	if d := open(t, h, "/hosts/"+string(id)); d.Code != http.StatusNotFound {
		t.Errorf("a pending host's page answers %d", d.Code)
	}
}

func TestWeakestCountyAndWorstHostComeFirst(t *testing.T) {
	b := &storybook.Book{Catalogue: []muster.Control{{ID: "MVS-ENC-01", Title: "The disk is encrypted", Severity: muster.SeverityCritical}}}
	add := func(county muster.County, name string, status muster.Status, stale bool) {
		h := muster.HostStanding{Host: muster.Host{ID: muster.NewHostID([]byte(name)), Hostname: name, County: county, Profile: muster.EMS, Platform: muster.Linux},
			State: muster.HostActive, Seq: 1, Stale: stale, LastSeen: now, CollectedAt: now, Summary: muster.Summary{MeetsBaseline: status == muster.StatusPass}}
		b.Fleet = append(b.Fleet, h)
		b.Findings = append(b.Findings, muster.FindingStanding{Host: h.ID, Control: "MVS-ENC-01", Status: status, Since: now})
	}
	add("56001", "good", muster.StatusPass, false)
	add("56001", "unsure", muster.StatusUnknown, false)
	add("56001", "silent", muster.StatusPass, true)
	add("56001", "bad", muster.StatusFail, false)
	add("56003", "alone", muster.StatusFail, false)
	h := mustNew(t, b, b.Catalogue)
	inOrder(t, open(t, h, "/").Text, "1 of 5 computers meets the baseline", "Big Horn County", "0 of 1", "Albany County", "1 of 4")
	inOrder(t, open(t, h, "/counties/56001").Text, "Computers Each", "bad Does not meet", "unsure Cannot tell", "silent Not heard from", "good Meets")
	inOrder(t, open(t, h, "/controls/MVS-ENC-01").Text, "Albany County bad, unsure 1 of 3 1", "Big Horn County alone 1 of 1 0")
}

func TestReplacedHostIsShownAndNotCounted(t *testing.T) {
	b, id := one(nil)
	old := b.Fleet[0]
	old.ID, old.Hostname, old.Stale, old.ReplacedBy = muster.NewHostID([]byte("old")), "CLERK-00", true, id
	b.Fleet = append(b.Fleet, old)
	open(t, mustNew(t, b, b.Catalogue), "/counties/56021").has(t, "1 of 1 computer meets the baseline.", "CLERK-00 now "+string(id)+" Replaced not counted Workstation")
}

func inOrder(tb testing.TB, text string, parts ...string) {
	tb.Helper()
	rest := text
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			tb.Fatalf("%q does not come in its place:\n%s", part, text)
		}
		rest = after
	}
}

func TestChangesAreToldWorseFirstAndJoined(t *testing.T) {
	b, id := one(nil)
	other := b.Fleet[0]
	other.ID, other.Hostname, other.Demo = muster.NewHostID([]byte("other")), "CLERK-02", true
	b.Fleet = append(b.Fleet, other)
	change := func(host muster.HostID, control string, from, to muster.Status, ago time.Duration) {
		b.Transitions = append(b.Transitions, muster.Transition{Host: host, Control: control, From: from, To: to, Seq: 2, ReceivedAt: now.Add(-ago)})
	}
	change(id, "MVS-LOG-02", muster.StatusFail, muster.StatusPass, time.Minute)
	change(id, "MVS-ENC-01", muster.StatusPass, muster.StatusFail, time.Hour)
	change(other.ID, "MVS-ENC-01", muster.StatusPass, muster.StatusFail, 2*time.Hour)
	change(id, "MVS-LOG-02", muster.StatusPass, muster.StatusNotApplicable, 3*time.Hour)
	change(muster.NewHostID([]byte("gone")), "MVS-LOG-02", muster.StatusPass, muster.StatusFail, 4*time.Hour)
	b.Fleet = append(b.Fleet, muster.HostStanding{Host: muster.Host{ID: muster.NewHostID([]byte("real")), County: "56001"}, State: muster.HostActive})
	h := mustNew(t, b, b.Catalogue)
	d := open(t, h, "/")
	inOrder(t, d.Text, "Got worse", "The disk is encrypted: began to fail on CLERK-01, CLERK-02", "demo Laramie County, 1 hour ago",
		"Got better", "Event logs are large enough: came in order on CLERK-01 Laramie County, 1 minute ago", "Not heard from")
	d.has(t, "some of these computers are invented")
	open(t, h, "/hosts/"+string(id)).has(t, "Fails The disk is encrypted before: Passes")
}

func TestNotFoundAndOtherMethods(t *testing.T) {
	b, _ := one(nil)
	h := mustNew(t, b, b.Catalogue)
	for _, path := range []string{"/nothing", "/counties/", "/counties/1", "/counties/99999", "/counties/56021/x", "/hosts/x",
		"/hosts/" + string(muster.NewHostID([]byte("absent"))), "/controls/MVS-NO-99", "/controls/%2e%2e%2fx", "/static/", "/static/none.css"} {
		d := open(t, h, path)
		if d.Code != http.StatusNotFound {
			t.Errorf("%s answers %d", path, d.Code)
		}
		d.has(t, "There is nothing here", "To the overview")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST answers %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestHeadHasTheHeadersAndNoBody(t *testing.T) {
	book := storybook.Example(now)
	server := httptest.NewServer(mustNew(t, book, book.Catalogue))
	defer server.Close()
	for _, path := range []string{"/", "/counties/56021", "/static/muster.css", "/nothing"} {
		r, err := http.Head(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || len(body) > 0 || r.ContentLength <= 0 {
			t.Errorf("HEAD %s: %d bytes, length %d, error %v", path, len(body), r.ContentLength, err)
		}
	}
}

func TestAssetsAreKeptAndPagesAreNot(t *testing.T) {
	h := mustNew(t, &storybook.Book{}, nil)
	for path, want := range map[string]string{"/": "no-store", "/static/muster.css": "public, max-age=31536000, immutable", "/static/mark.svg": "public, max-age=31536000, immutable"} {
		w := get(h, path)
		if got := w.Header().Get("Cache-Control"); w.Code != http.StatusOK || got != want {
			t.Errorf("%s answers %d with Cache-Control %q", path, w.Code, got)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", path)
		}
	}
}

// failing is a store that has gone.
type failing struct {
	*storybook.Book
	err error
}

func (f failing) Counties(context.Context, muster.View) ([]muster.CountyStanding, error) {
	return nil, f.err
}
func (f failing) HostEvidence(context.Context, muster.HostID, uint64) (map[string]muster.Evidence, error) {
	return nil, f.err
}

func TestStoreFailure(t *testing.T) {
	b, id := one(nil)
	var log strings.Builder
	h, err := web.New(web.Options{Reader: failing{b, errors.New("disk at /secret is gone")}, Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, h, "/")
	if d.Code != http.StatusInternalServerError {
		t.Errorf("answers %d", d.Code)
	}
	d.has(t, "This page could not be made", "Nothing is lost", "Try again in a minute")
	d.hasNot(t, "secret")
	if !strings.Contains(log.String(), "disk at /secret is gone") {
		t.Errorf("the log does not say why: %s", &log)
	}
	d = open(t, h, "/hosts/"+string(id))
	if d.Code != http.StatusOK {
		t.Errorf("a host whose evidence is lost answers %d", d.Code)
	}
	d.has(t, "What was found could not be opened", "Meets the baseline")
}

func TestOptions(t *testing.T) {
	if _, err := web.New(web.Options{}); err == nil {
		t.Error("no reader is accepted")
	}
}

// The pages say for how long a host may be silent where that is set.
func TestSilences(t *testing.T) {
	b, _ := one(nil)
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Now: func() time.Time { return now },
		StaleAfter: muster.Silences{muster.Workstation: 36 * time.Hour, muster.EMS: 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	open(t, h, "/").has(t, "No report for 36 hours, or for 1 day from")
}

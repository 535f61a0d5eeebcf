package web_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// seenBy are the pages as a person sees them; county readers may use what is not of the
// whole state and changes nothing.
func seenBy(tb testing.TB, b *storybook.Book, p web.Person, change ...func(*web.Options)) *web.Pages {
	tb.Helper()
	o := web.Options{Reader: b, Catalogue: b.Catalogue, State: "56", Name: "State of Example", Now: func() time.Time { return now },
		Who: func(*http.Request) web.Person { return p },
		May: func(role muster.Role, pattern string) bool {
			state := []string{"GET /policies", "GET /people", "GET /log", "GET /metrics", "GET /api/v1/audit-log", "GET /api/v1/policies", "GET /api/v1/rings", "GET /api/v1/deliveries"}
			switch {
			case role == muster.RoleCISO:
				return true
			case strings.HasPrefix(pattern, "GET "):
				return role != "" || !slices.Contains(state, pattern)
			}
			return role == muster.RoleOperator && !strings.Contains(pattern, "policies")
		}}
	for _, c := range change {
		c(&o)
	}
	pages, err := web.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return pages
}

var (
	officer = web.Person{Name: "officer@state.example", Role: muster.RoleCISO, Session: true}
	clerk   = web.Person{Name: "clerk@laramie.example", Counties: []muster.County{"56021"}, Session: true}
	helper  = web.Person{Counties: []muster.County{"56001", "56021"}}
)

func TestHeader(t *testing.T) {
	b, id := one(nil)
	h := seenBy(t, b, officer)
	for path, current := range map[string]string{"/": `<a href="/" aria-current="page">`, "/exports": `<a href="/exports" aria-current="page">`,
		"/exports?as_of=2026-11-02": `<a href="/exports?as_of=2026-11-02T23%3A59%3A59.999999Z" aria-current="page">`, "/hosts/" + string(id): ""} {
		open(t, h, path).has(t, "officer@state.example Security officer", "Sign out")
		body := get(h, path).Body.String()
		if _, main, _ := strings.Cut(body, `aria-label="Places"`); current != "" && !strings.Contains(main, current) || strings.Count(main[:strings.Index(main, "</nav>")], "aria-current") > 1 {
			t.Errorf("%s: no %s in %.900s", path, current, main)
		}
	}
	d := open(t, seenBy(t, b, clerk), "/counties/56021")
	d.has(t, "Your county Changes", "Reads Laramie County")
	d.hasNot(t, "Policies", "People", "Overview")
	d = open(t, seenBy(t, b, helper), "/counties")
	d.has(t, "Your counties Changes", "Reads 2 counties")
	d.hasNot(t, "Sign out")

	// Who reads several counties stays in the one at hand: pages about one want to know which.
	for path, links := range map[string][]string{
		"/counties":                            {"/changes?county=56001", "/exports?county=56001"},
		"/counties/56021":                      {"/counties", "/changes?county=56021", "/quiet?county=56021"},
		"/quiet?county=56021&as_of=2026-11-01": {"/changes?county=56021&as_of=2026-11-01T23%3A59%3A59.999999Z"},
		"/counties/56021/scorecard":            {"/exports?county=56021"},
	} {
		d := open(t, seenBy(t, b, helper), path)
		for _, want := range links {
			if !slices.Contains(d.Links, want) {
				t.Errorf("%s does not lead to %s: %q", path, want, d.Links)
			}
		}
	}
	if body := get(seenBy(t, b, helper), "/counties/56021").Body.String(); !strings.Contains(body, `<input type="hidden" name="county" value="56021"/></form>`) && !strings.Contains(body, `name="county" value="56021"/><kbd`) {
		t.Error("a search does not say in which county")
	}
	open(t, seenBy(t, b, helper), "/exports?county=56021").hasNot(t, "The whole state")
}

func TestDatePicker(t *testing.T) {
	b, _ := one(nil)
	h := seenBy(t, b, officer)
	open(t, h, "/exports?county=56021").has(t, "As of now Yesterday A week ago 30 days ago")
	open(t, h, "/exports?as_of=2026-10-31").has(t, "As of 31 October 2026", "As it was shown on 31 October 2026, 23:59 UTC. To now")
	open(t, h, "/people").hasNot(t, "Yesterday")
	body := get(h, "/exports?county=56021").Body.String()
	for _, want := range []string{`<input type="hidden" name="county" value="56021"/><button class="plainly" name="as_of" value="2026-11-02">`, `max="2026-11-03"`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestYourCounties(t *testing.T) {
	b := storybook.Example(now)
	d := open(t, seenBy(t, b, helper), "/counties")
	d.has(t, "You read 2 counties.", "Albany County", "Laramie County", "computers meet the baseline")
	d.hasNot(t, "Big Horn")
	empty := open(t, seenBy(t, &storybook.Book{}, helper), "/counties?as_of=2026-11-01")
	empty.has(t, "No computer of this county has reported yet.")
	if !slices.Contains(empty.Links, "/counties/56001?as_of=2026-11-01T23%3A59%3A59.999999Z") {
		t.Errorf("the instant is lost: %q", empty.Links)
	}
	if w := get(seenBy(t, b, officer), "/counties"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		t.Errorf("for the state: %d %v", w.Code, w.Header())
	}
}

// Who has no role is told what there is to say, and nothing of the state.
func TestNotices(t *testing.T) {
	b := storybook.Example(now)
	tell := func(p web.Person, n web.Notice) (document, string) {
		t.Helper()
		w := httptest.NewRecorder()
		seenBy(t, b, p).Tell(w, httptest.NewRequest("GET", "/exports?as_of=2026-11-01", nil), n)
		d, err := parse(w.Body.String())
		if err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
		if w.Code != n.Status {
			t.Errorf("%d, want %d", w.Code, n.Status)
		}
		return d, w.Body.String()
	}
	d, body := tell(web.Person{}, web.Notice{Status: 401, Title: "Sign in", Text: "This is for people who are signed in.", Href: "/login?to=%2Fexports%3Fas_of%3D2026-11-01", Link: "Sign in"})
	d.has(t, "Sign in This is for people who are signed in. Sign in")
	d.hasNot(t, "Overview", "Exports", "Find a computer", "Sign out", "Error", "What the words mean", muster.Version)
	if !strings.Contains(body, `href="/login?to=%2Fexports%3Fas_of%3D2026-11-01"`) {
		t.Errorf("the way on is not as it was given: %s", body)
	}
	d, _ = tell(web.Person{Name: "someone@state.example", Session: true}, web.Notice{Status: 403, Title: "No", Text: hostile["script"] + hostile["right"], Way: hostile["control"]})
	d.has(t, "someone@state.example", "Sign out", "Error 403", "⟨U+202E⟩")
	d.hasNot(t, "Overview")
	d, body = tell(helper, web.Notice{Status: 400, Title: "Which county?", Text: "Say which.", Counties: helper.Counties})
	d.has(t, "Which county? Say which. Albany County Laramie County", "Your counties")
	d.hasNot(t, "Error")
	if !strings.Contains(body, `href="/exports?as_of=2026-11-01&amp;county=56021"`) {
		t.Errorf("the choice keeps not what was asked for: %s", body)
	}
	d = open(t, seenBy(t, b, web.Person{}), "/static/nothing")
	d.has(t, "Error 404")
	d.hasNot(t, "Overview")
}

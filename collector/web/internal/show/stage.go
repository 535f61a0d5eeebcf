package main

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/policies"
)

// stage is an invented state that changes, and everyone who can look at it.
type stage struct {
	start   time.Time
	live    *web.Live
	changes chan []muster.County
	now     atomic.Pointer[scene]
	turns   int
}

// scene is the state between two changes.
type scene struct {
	pages     *web.Pages
	storybook http.Handler
}

// People who can look, by the word for them in /as/{person}.
var people = map[string]web.Person{
	"officer":  {Name: "ciso@example.gov", Role: muster.RoleCISO, Session: true},
	"operator": {Name: "operator@example.gov", Role: muster.RoleOperator, Session: true},
	"viewer":   {Name: "viewer@example.gov", Role: muster.RoleViewer, Session: true},
	"clerk":    {Name: "clerk@example.gov", Counties: []muster.County{"56021"}, Session: true},
	"clerks":   {Name: "helper@example.gov", Counties: []muster.County{"56001", "56021"}, Session: true},
}

func newStage(start time.Time) (*stage, error) {
	s := &stage{start: start, changes: make(chan []muster.County)}
	s.live = web.NewLive(func(context.Context) <-chan []muster.County { return s.changes })
	return s, s.set(storybook.Example(start.UTC()))
}

// set shows what the book tells.
func (s *stage) set(book *storybook.Book) error {
	pages, err := web.New(web.Options{Reader: book, Catalogue: book.Catalogue, Facts: policies.EmbeddedFacts(), State: "56",
		Waivers: book.Waivers, Attestations: book.Attestations, Claims: book.Claims, Held: book.Held, Diff: book.Diff,
		Name: "State of Wyoming", Who: who, May: may, Entry: entry(), Live: s.live})
	if err != nil {
		return err
	}
	stories, err := pages.Storybook(links(book))
	if err != nil {
		return err
	}
	s.now.Store(&scene{pages, stories})
	return nil
}

// play changes something again and again, until ctx ends.
func (s *stage) play(ctx context.Context, every time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- s.live.Run(ctx) }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			county, err := s.turn()
			if err != nil {
				return err
			}
			s.changes <- []muster.County{county}
		case <-ctx.Done():
			close(s.changes)
			return <-ended
		}
	}
}

// turn makes a new book of which one thing more is different: those who read the one
// before are not disturbed.
func (s *stage) turn() (muster.County, error) {
	book := storybook.Example(s.start.UTC())
	var county muster.County
	s.turns++
	for n := range s.turns {
		county = book.Turn(n, time.Now().UTC())
	}
	return county, s.set(book)
}

func who(r *http.Request) web.Person {
	if c, err := r.Cookie("as"); err == nil {
		return people[c.Value]
	}
	return people["officer"]
}

// home is where the door leads those who read counties only.
func home(p web.Person) string {
	if len(p.Counties) == 1 {
		return "/counties/" + string(p.Counties[0])
	}
	return "/counties"
}

// may is about what the door's table lets them; in a collector that decides.
func may(role muster.Role, pattern string) bool {
	reads := strings.HasPrefix(pattern, "GET ") || pattern == "POST /counties/{county}/asks"
	switch role {
	case muster.RoleCISO:
		return true
	case muster.RoleOperator:
		return reads || !strings.Contains(pattern, "/policies")
	case muster.RoleViewer:
		return reads
	}
	return reads && !slices.ContainsFunc([]string{"/edit", "/policies", "/people", "/log", "/metrics", "/courier"}, func(part string) bool {
		return strings.Contains(pattern, part)
	})
}

// entry is how the people of the storybook come in.
func entry() web.Entry {
	routes := append(web.Patterns(), "GET /api/v1/hosts", "GET /metrics", "POST /hosts/{host}/approve", "POST /hosts/{host}/audit",
		"PUT /api/v1/counties/{county}/expected", "POST /api/v1/policies", "POST /policies/{version}/promote")
	return web.Entry{Routes: routes, Tailnet: true, Issuer: "https://login.state.example", Grants: []web.Grant{
		{Claim: "groups", Value: "election-security", Role: muster.RoleOperator}, {Claim: "email", Value: "officer@state.example", Role: muster.RoleCISO},
		{Claim: "email", Value: "clerk@albany.example", Role: muster.CountyRole("56001")}}}
}

// wrong are addresses of pages that say so, by status.
var wrong = map[string]int{"/nothing": http.StatusNotFound, "/?as_of=yesterday": http.StatusBadRequest}

// links to a page of each kind.
func links(book *storybook.Book) map[string][]string {
	worst := book.Worst()
	list := map[string][]string{"Pages": book.Paths(web.Patterns())}
	for path := range wrong {
		list["When something is wrong"] = append(list["When something is wrong"], path)
	}
	for name := range people {
		list["As someone else"] = append(list["As someone else"], "/as/"+name)
	}
	for _, path := range []string{"/", "/counties/" + string(worst.County), "/hosts/" + string(worst.ID)} {
		list["Last week"] = append(list["Last week"], path+"?as_of="+time.Now().UTC().AddDate(0, 0, -7).Format(time.DateOnly))
	}
	for _, paths := range list {
		slices.Sort(paths)
	}
	return list
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now, person := s.now.Load(), who(r)
	as, chosen := strings.CutPrefix(r.URL.Path, "/as/")
	switch {
	case chosen:
		http.SetCookie(w, &http.Cookie{Name: "as", Value: as, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, "/storybook", http.StatusSeeOther)
	case r.URL.Path == "/storybook":
		now.storybook.ServeHTTP(w, r)
	case r.URL.Path == "/" && person.Role == "":
		http.Redirect(w, r, home(person), http.StatusSeeOther)
	case r.Method == http.MethodPost:
		now.pages.Refuse(w, r, http.StatusConflict, "This is a storybook: forms do nothing here.", "Go back.")
	default:
		if q := r.URL.Query(); len(person.Counties) == 1 && !q.Has("county") { // as the door does
			r = r.Clone(r.Context())
			q.Set("county", string(person.Counties[0]))
			r.URL.RawQuery = q.Encode()
		}
		now.pages.ServeHTTP(w, r)
	}
}

var href = regexp.MustCompile(` href="(/[^"]*)"`)

// enough pages of one kind, for each person.
const enough = 25

// tour opens the pages that links lead to, as everyone, and wants an answer from each.
func (s *stage) tour(out io.Writer) error {
	pages := 0
	for name, person := range people {
		from, kinds := map[string]string{}, map[string]int{} // a link to each page; how many of a kind
		todo := []string{"/storybook"}
		if person.Role == "" { // not all of the links there are theirs
			todo = []string{home(person)}
		}
		for ; len(todo) > 0; todo = todo[1:] {
			r := httptest.NewRequest(http.MethodGet, todo[0], nil)
			r.AddCookie(&http.Cookie{Name: "as", Value: name})
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if want := cmp.Or(wrong[todo[0]], http.StatusOK); w.Code != want && w.Code != http.StatusSeeOther {
				return fmt.Errorf("%s, to which %s leads %s, is answered %d", todo[0], from[todo[0]], name, w.Code)
			}
			pages++
			for _, m := range href.FindAllStringSubmatch(w.Body.String(), -1) {
				to, err := url.Parse(html.UnescapeString(m[1]))
				if err != nil {
					return fmt.Errorf("%s has the link %q: %w", todo[0], m[1], err)
				}
				to.Fragment = ""
				path := to.String()
				kind := strings.Split(path, "/")[1]
				if from[path] == "" && kind != "api" && kind != "as" && kinds[kind] < enough {
					kinds[kind]++
					from[path] = todo[0]
					todo = append(todo, path)
				}
			}
		}
	}
	fmt.Fprintf(out, "%d pages as %d people, all answered\n", pages, len(people))
	return nil
}

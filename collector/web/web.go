// Package web serves the state's dashboard: pages made on the server, whole without
// scripts and without internet. It reads through a Reader and changes nothing.
// Addresses of pages are promises, and Patterns lists them; those about the state's
// standing can be asked as of a past instant, with the parameters of muster.ParseView.
// The forms on them are answered by whoever serves the pages, by the patterns that
// the forms name.
package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
	diff "github.com/passmuster/muster/policies/changes"
)

//go:embed templates static styles
var files embed.FS

// Options of New. Reader is required.
type Options struct {
	Reader Reader
	// Catalogue of the controls in force. A control that is not in it is shown
	// by its id and treated as critical.
	Catalogue []muster.Control
	// Published are all controls by id that any release has, in force or not, or the
	// baseline that computers have from the start. Hosts may name others, which are told
	// on the pages of hosts alone; nil means that nobody invents any.
	Published map[string]muster.Control
	// Facts that they ask, by name; a control page shows them.
	Facts map[string]muster.Fact
	// Waivers and Attestations in force.
	Waivers      []muster.Waiver
	Attestations []muster.Attestation
	// Claims that a control reads of attestations, by its id; nil where that is not known.
	Claims map[string][]string
	// Held are the waivers in each policy that is offered, by its version.
	Held map[int64][]muster.Waiver
	// Diff tells what a release changes against an earlier one, or with 0 against the
	// baseline that computers have from the start, MostChanges at most; nil where that is
	// not known.
	Diff func(ctx context.Context, from, to int64) ([]diff.Change, error)
	// State is the two-digit FIPS code of the state; "" means that of most counties.
	State string
	// Name of the collector for people, such as "State of Example"; "" means "This state".
	Name string
	// StaleAfter is how long a host may be silent.
	StaleAfter muster.Silences
	// Who tells who sent a request that was let in; nil means someone who may do
	// everything.
	Who func(*http.Request) Person
	// May reports whether a role, or with "" who reads counties only, may use the route
	// of a pattern; nil means yes. What a person may not use is not shown to them.
	May func(role muster.Role, pattern string) bool
	// Entry says how people come in.
	Entry Entry
	// Live tells of changes; nil for pages that do not change by themselves.
	Live *Live
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger learns why a page could not be made; nil discards.
	Logger *slog.Logger
}

// Pages is the handler of all pages. It answers GET and HEAD, and sets the security
// headers of what it serves.
type Pages struct {
	server
	handler http.Handler
}

func (p *Pages) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// server makes a page: a copy of it knows for whom and as of when.
type server struct {
	Options
	person   Person
	view     muster.View // the instant that a page is about, and Now with it
	from     muster.View // the instant that its address has; a page without a past is of now all the same
	controls map[string]muster.Control
	pages    map[string]*template.Template                 // never run, so that they can be cloned
	present  map[muster.Role]map[string]*template.Template // by role, of the present
	assets   string                                        // a digest of the static files, so that browsers may keep them
}

// route is a page.
type route struct {
	pattern, name string // name of its template
	build         func(*server, context.Context, *http.Request) (*view, error)
	past          bool     // it can be asked as of a past instant
	keep          []string // its other parameters
}

func routes() []route {
	return []route{
		{pattern: "GET /{$}", name: "overview", build: (*server).overview, past: true, keep: []string{"since", "by"}},
		{pattern: "GET /changes", name: "changes", build: (*server).changes, past: true, keep: []string{"county", "way"}},
		{pattern: "GET /quiet", name: "quiet", build: (*server).quiet, past: true, keep: []string{"county"}},
		{pattern: "GET /counties", name: "yours", build: (*server).yours, past: true},
		{pattern: "GET /counties/{county}", name: "county", build: (*server).county, past: true, keep: []string{"profile"}},
		{pattern: "GET /counties/{county}/scorecard", name: "scorecard", build: (*server).scorecard, past: true},
		{pattern: "GET /counties/{county}/edit", name: "countyedit", build: (*server).countyEdit},
		{pattern: "GET /hosts/{host}", name: "host", build: (*server).host, past: true},
		{pattern: "GET /controls/{control}", name: "control", build: (*server).control, past: true, keep: []string{"county"}},
		{pattern: "GET /pending", name: "pending", build: (*server).pending},
		{pattern: "GET /courier", name: "courier", build: (*server).courier},
		{pattern: "GET /policies", name: "policies", build: (*server).policies},
		{pattern: "GET /policies/{version}", name: "release", build: (*server).release},
		{pattern: "GET /exceptions", name: "exceptions", build: (*server).exceptions},
		{pattern: "GET /exceptions/ask", name: "ask", build: (*server).ask},
		{pattern: "GET /search", name: "search", build: (*server).search},
		{pattern: "GET /exports", name: "exports", build: (*server).exports, past: true, keep: []string{"county", "control", "from", "to"}},
		{pattern: "GET /people", name: "people", build: (*server).people},
		{pattern: "GET /log", name: "log", build: (*server).log},
	}
}

// Patterns of http.ServeMux that the pages answer.
func Patterns() []string {
	list := []string{"GET /static/", "GET /live"}
	for _, r := range routes() {
		list = append(list, r.pattern)
	}
	return list
}

// roles for which pages differ; "" reads counties only.
func roles() []muster.Role {
	return []muster.Role{"", muster.RoleViewer, muster.RoleOperator, muster.RoleCISO}
}

// New makes the pages.
func New(o Options) (*Pages, error) {
	if o.Reader == nil {
		return nil, errors.New("web: options: a reader is required")
	}
	if o.Name == "" {
		o.Name = "This state"
	}
	if o.Who == nil {
		o.Who = everyone
	}
	if o.May == nil {
		o.May = func(muster.Role, string) bool { return true }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Published != nil {
		o.Reader = published{o.Reader, o.Published}
	}
	p := &Pages{server: server{Options: o, controls: make(map[string]muster.Control, len(o.Catalogue))}}
	s := &p.server
	for _, c := range o.Catalogue {
		s.controls[c.ID] = c
	}
	if err := s.parse(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	if err := s.static(mux); err != nil {
		return nil, err
	}
	for _, r := range routes() {
		mux.Handle(r.pattern, s.page(r))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			s.of(s.Who(r), muster.View{}).problem(w, r, http.StatusMethodNotAllowed)
			return
		}
		s.of(s.Who(r), muster.View{}).problem(w, r, http.StatusNotFound)
	})
	if o.Live != nil {
		mux.HandleFunc("GET /live", func(w http.ResponseWriter, r *http.Request) { o.Live.Listen(w, r, s.Who(r).Name) })
	}
	p.handler = secure(packed(mux))
	return p, nil
}

// parse the templates: each page once, and for each role.
func (s *server) parse() error {
	layout, err := template.New("layout.html").Funcs(words).Funcs(silences(s.StaleAfter)).Funcs(s.bound("", muster.View{})).
		ParseFS(files, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return fmt.Errorf("web: parse layout: %w", err)
	}
	s.pages, s.present = map[string]*template.Template{}, map[muster.Role]map[string]*template.Template{}
	for _, role := range roles() {
		s.present[role] = map[string]*template.Template{}
	}
	names := []string{"problem"}
	for _, r := range routes() {
		names = append(names, r.name)
	}
	for _, name := range names {
		t, err := layout.Clone()
		if err == nil {
			t, err = t.ParseFS(files, "templates/"+name+".html")
		}
		for _, role := range roles() {
			if err == nil {
				s.present[role][name], err = t.Clone()
			}
			if err == nil {
				s.present[role][name].Funcs(s.bound(role, muster.View{}))
			}
		}
		if err != nil {
			return fmt.Errorf("web: parse page %s: %w", name, err)
		}
		s.pages[name] = t
	}
	return nil
}

// bound are the words that depend on who looks at a page, and as of when.
func (s *server) bound(role muster.Role, v muster.View) template.FuncMap {
	return template.FuncMap{
		"asof":  func() string { return suffix(v) },
		"also":  func() template.URL { return template.URL(strings.Replace(suffix(v), "?", "&", 1)) }, // behind other parameters
		"at":    func(c muster.County) template.URL { return template.URL(suffixOf(role, c, v)) },
		"may":   func(pattern string) bool { return s.may(role, pattern) },
		"knows": s.knows,
	}
}

// navigation are the places that the header leads to, by pattern.
func navigation() []link {
	return []link{{"GET /{$}", "Overview"}, {"GET /changes", "Changes"}, {"GET /quiet", "Not heard from"}, {"GET /pending", "Waiting"},
		{"GET /policies", "Policies"}, {"GET /exceptions", "Exceptions"}, {"GET /courier", "Courier"}, {"GET /exports", "Exports"},
		{"GET /people", "People"}, {"GET /log", "Log"}}
}

// A lead is a link of the header; Current says "page" or, for one below it, "true".
type lead struct {
	link
	Current string
}

// leads are the navigation for the person: what is served, and may be used. The instant is
// kept; who reads several counties stays in one.
func (s *server) leads(path string, county muster.County) (list []lead) {
	for _, p := range navigation() {
		for _, r := range routes() {
			if r.pattern != p.Href || !s.may(s.person.Role, r.pattern) {
				continue
			}
			to := lead{link: link{strings.TrimSuffix(strings.TrimPrefix(r.pattern, "GET "), "{$}"), p.Text}}
			if to.Href == "/" && s.person.Role == "" {
				to.link = s.person.home()
			}
			switch {
			case path == to.Href:
				to.Current = "page"
			case strings.HasPrefix(path, to.Href+"/"):
				to.Current = "true"
			}
			if to.Href == s.person.home().Href {
				to.Href += suffix(s.from)
			} else {
				to.Href += suffixOf(s.person.Role, county, s.from)
			}
			list = append(list, to)
		}
	}
	return list
}

// start is the first page of the person.
func (s *server) start() string {
	if s.person.Role == "" {
		return s.person.home().Href
	}
	return "/"
}

// oneOf the counties of a person who reads several: the one at hand, or the first. Most
// pages are about one. "" for everyone else.
func (s *server) oneOf(at muster.County) muster.County {
	if s.person.Role != "" || len(s.person.Counties) < 2 {
		return ""
	}
	if s.person.reads(at) {
		return at
	}
	return s.person.Counties[0]
}

// may reports whether the role may use a form, or a page that there is.
func (s *server) may(role muster.Role, pattern string) bool {
	page := strings.HasPrefix(pattern, "GET /") && !strings.HasPrefix(pattern, "GET /api/")
	return s.May(role, pattern) && (!page || slices.Contains(Patterns(), pattern))
}

// static serves what browsers may keep; the styles are one file there.
func (s *server) static(mux *http.ServeMux) error {
	sheets, err := fs.Glob(files, "styles/*.css")
	if err != nil {
		return err
	}
	var css []byte
	for _, name := range sheets {
		b, err := files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("web: read %s: %w", name, err)
		}
		css = append(css, b...)
	}
	sum := sha256.New()
	sum.Write(css)
	mux.Handle("GET /static/muster.css", keep(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "muster.css", time.Time{}, bytes.NewReader(css))
	})))
	others, err := fs.Glob(files, "static/*")
	if err != nil {
		return err
	}
	for _, name := range others {
		b, err := files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("web: read %s: %w", name, err)
		}
		sum.Write(b)
		mux.Handle("GET /"+name, keep(http.FileServerFS(files)))
	}
	s.assets = fmt.Sprintf("%x", sum.Sum(nil)[:6])
	return nil
}

// view is what the layout needs; Page is the page's own.
type view struct {
	Site    string
	Assets  string
	Title   string
	Trail   []link // the way from the overview to this page's parent
	Here    string // this page in the trail; "" on the overview
	Demo    invented
	Now     moment
	Person  Person
	Bare    bool // nothing but what is said, for who has no role
	Places  []lead
	Find    string        // what was searched for
	County  muster.County // that the header's links stay in; "" for all
	Go      string        // the page that this one leads to at once; "" for this one
	Picker  *picker       // of a past day; nil where the page has no past
	Kept    template.URL  // the instant of the address, as a query; "" for now
	Instant []link        // the same as parameters
	Past    string        // which past instant the page is about, or is not although it was asked for, a sentence; "" for now
	Then    string        // where a page that is of now all the same leads back to; "" for others
	Present string        // this page's address of the present
	Done    string        // what the form before did, a sentence
	About   muster.County // that the page is about; "" for that of its address, or all
	Live    string        // where it listens for changes; "" where it does not change by itself
	Page    any
}

// picker takes a page to a past day.
type picker struct {
	Path  string
	Keep  []link // the page's other parameters: Href is the name
	Day   string // "" for now
	Words string // the day for people
	Often []link // days that are asked for often: Href is the day
	Today string
	Known muster.Knowledge
}

type link struct{ Href, Text string }

func (s *server) page(p route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		s, now := s.of(s.Who(r), muster.View{}), s.Now()
		at, err := muster.ParseView(q.Get("as_of"), q.Get("known"), now)
		if err != nil {
			s.problem(w, r, http.StatusBadRequest)
			return
		}
		if p.past {
			s = s.of(s.person, at)
		}
		s.from = at
		v, err := p.build(s, r.Context(), r)
		switch {
		case err == nil && v.Go != "":
			http.Redirect(w, r, v.Go, http.StatusSeeOther)
		case err == nil:
			if p.past {
				v.Picker = s.picker(r, p.keep, now)
			}
			v.Done = doneWord(q.Get("done"))
			v.Live = s.listenAt(cmp.Or(v.About, s.about(r)))
			s.render(w, r, http.StatusOK, p.name, v)
		case errors.Is(err, fs.ErrNotExist):
			s.problem(w, r, http.StatusNotFound)
		case r.Context().Err() != nil: // the reader has gone; nobody would see an answer
		default:
			s.Logger.ErrorContext(r.Context(), "page not made", "path", r.URL.Path, "error", err)
			s.problem(w, r, http.StatusInternalServerError)
		}
	})
}

// of is the server for a person at the instant of a view: ages are told as of then.
func (s *server) of(p Person, v muster.View) *server {
	then := *s
	then.person, then.view = p, v
	if !v.Now() {
		then.Now = func() time.Time { return v.At }
	}
	return &then
}

func (s *server) render(w http.ResponseWriter, r *http.Request, code int, name string, v *view) {
	v.Site, v.Assets, v.Person = s.Name, s.assets, s.person
	v.Bare = s.person.Role == "" && len(s.person.Counties) == 0
	if !v.Bare {
		v.County = s.oneOf(cmp.Or(v.About, s.about(r)))
		v.Places = s.leads(r.URL.Path, v.County)
	}
	if v.Trail == nil {
		v.Trail = s.trail("")
	}
	v.Now = moment{s.Now(), s.Now()}
	v.Kept, v.Instant = template.URL(suffix(s.from)), instantOf(s.from)
	var b bytes.Buffer
	t, err := s.present[s.person.Role][name], error(nil)
	if s.view.Now() && !s.from.Now() {
		v.Past, v.Present, v.Then = timelessWord(s.from), present(r), s.start()+suffix(s.from)
	}
	if !s.view.Now() {
		v.Past, v.Present = pastWord(s.view), present(r)
		if t, err = s.pages[name].Clone(); err == nil {
			t.Funcs(s.bound(s.person.Role, s.view))
		}
	}
	if err == nil {
		err = t.Execute(&b, v)
	}
	if err != nil {
		s.Logger.ErrorContext(r.Context(), "page not rendered", "path", r.URL.Path, "error", err)
		http.Error(w, "This page could not be made. The collector's log says why.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Cache-Control", "no-store") // weaknesses of election offices stay out of caches
	if code == http.StatusOK {
		h.Set("ETag", tag(b.Bytes()))
		if r.Header.Get("If-None-Match") == h.Get("ETag") {
			h.Del("Content-Length")
			code, b = http.StatusNotModified, bytes.Buffer{}
		}
	}
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = b.WriteTo(w) // the reader may be gone
	}
}

func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secureHeaders(w.Header())
		next.ServeHTTP(w, r)
	})
}

func secureHeaders(h http.Header) {
	h.Set("Content-Security-Policy", strings.Join([]string{"default-src 'none'", "style-src 'self'", "img-src 'self' data:",
		"script-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"}, "; "))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// keep lets browsers hold a file for ever: its address changes with its content.
func keep(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		next.ServeHTTP(w, r)
	})
}

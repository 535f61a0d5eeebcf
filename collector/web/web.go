// Package web serves the state's dashboard: pages made on the server, for a
// browser without scripts and without internet. It reads through a Reader and
// changes nothing. Addresses of pages are promises: /, /counties/{fips},
// /hosts/{id}, /controls/{id}, /policies; each but the last can be asked as of a past
// instant, with the parameters of muster.ParseView. The forms on them are answered by whoever
// serves the pages: POST /policies/{version}/promote, …/pause, /policies/rings,
// /hosts/{id}/approve, …/audit.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

//go:embed templates static
var files embed.FS

// Options of New. Reader is required.
type Options struct {
	Reader Reader
	// Catalogue of the controls in force. A control that is not in it is shown
	// by its id and treated as critical.
	Catalogue []muster.Control
	// Facts that they ask, by name; a control page shows them.
	Facts map[string]muster.Fact
	// Name of the collector for people, such as "State of Example"; "" means "This state".
	Name string
	// StaleAfter is how long a host may be silent.
	StaleAfter muster.Silences
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger learns why a page could not be made; nil discards.
	Logger *slog.Logger
}

type server struct {
	Options
	view     muster.View // the instant that a page is about, and Now with it
	controls map[string]muster.Control
	pages    map[string]*template.Template // never run, so that they can be cloned
	present  map[string]*template.Template
	assets   string // a digest of the static files, so that browsers may keep them
}

// New makes the handler of all pages. It answers GET and HEAD, and sets the
// security headers of what it serves.
func New(o Options) (http.Handler, error) {
	if o.Reader == nil {
		return nil, errors.New("web: options: a reader is required")
	}
	if o.Name == "" {
		o.Name = "This state"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{Options: o, controls: make(map[string]muster.Control, len(o.Catalogue)), pages: map[string]*template.Template{}, present: map[string]*template.Template{}}
	for _, c := range o.Catalogue {
		s.controls[c.ID] = c
	}
	layout, err := template.New("layout.html").Funcs(words).Funcs(silences(o.StaleAfter)).Funcs(links(muster.View{})).ParseFS(files, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("web: parse layout: %w", err)
	}
	for _, name := range []string{"overview", "county", "host", "control", "policies", "problem"} {
		t, err := layout.Clone()
		if err == nil {
			t, err = t.ParseFS(files, "templates/"+name+".html")
		}
		if err == nil {
			s.present[name], err = t.Clone()
		}
		if err != nil {
			return nil, fmt.Errorf("web: parse page %s: %w", name, err)
		}
		s.pages[name] = t
	}
	mux := http.NewServeMux()
	sum := sha256.New()
	for _, name := range []string{"static/muster.css", "static/mark.svg"} {
		b, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("web: read %s: %w", name, err)
		}
		sum.Write(b)
		mux.Handle("GET /"+name, keep(http.FileServerFS(files)))
	}
	s.assets = fmt.Sprintf("%x", sum.Sum(nil)[:6])
	mux.Handle("GET /{$}", s.page("overview", (*server).overview))
	mux.Handle("GET /counties/{county}", s.page("county", (*server).county))
	mux.Handle("GET /hosts/{host}", s.page("host", (*server).host))
	mux.Handle("GET /controls/{control}", s.page("control", (*server).control))
	mux.Handle("GET /policies", s.page("policies", (*server).policies))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			s.problem(w, r, http.StatusMethodNotAllowed)
			return
		}
		s.problem(w, r, http.StatusNotFound)
	})
	return secure(mux), nil
}

// view is what the layout needs; Page is the page's own.
type view struct {
	Site   string
	Assets string
	Title  string
	Trail  []link // the way from the overview to this page's parent
	Here   string // this page in the trail; "" on the overview
	Demo   invented
	Now    moment
	Past   string // which past instant the page is about, a sentence; "" for now
	Page   any
}

type link struct{ Href, Text string }

func (s *server) page(name string, build func(*server, context.Context, *http.Request) (*view, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if name == "policies" { // what is offered has no past
			q = nil
		}
		at, err := muster.ParseView(q.Get("as_of"), q.Get("known"), s.Now())
		if err != nil {
			s.problem(w, r, http.StatusBadRequest)
			return
		}
		s := s.asOf(at)
		v, err := build(s, r.Context(), r)
		switch {
		case err == nil:
			s.render(w, r, http.StatusOK, name, v)
		case errors.Is(err, fs.ErrNotExist):
			s.problem(w, r, http.StatusNotFound)
		case r.Context().Err() != nil: // the reader has gone; nobody would see an answer
		default:
			s.Logger.ErrorContext(r.Context(), "page not made", "path", r.URL.Path, "error", err)
			s.problem(w, r, http.StatusInternalServerError)
		}
	})
}

// asOf is the server at the instant of a view: ages are told as of then.
func (s *server) asOf(v muster.View) *server {
	if v.Now() {
		return s
	}
	then := *s
	then.view, then.Now = v, func() time.Time { return v.At }
	return &then
}

// problem says what went wrong and what to do about it.
type problem struct {
	Code             int
	Title, Text, Way string
}

func (s *server) problem(w http.ResponseWriter, r *http.Request, code int) {
	p := problem{code, "This page could not be made", "The collector could not read its own records. Nothing is lost: reports are kept by the computers until the collector has them.", "Try again in a minute. If it stays, the collector's log says why."}
	switch code {
	case http.StatusNotFound:
		p = problem{code, "There is nothing here", "No computer, county or control has this address. A computer that waits for approval has no page yet.", "Check the address, or start from the overview."}
	case http.StatusBadRequest:
		p = problem{code, "This is no instant of the past", "A page can be asked as of a day, such as as_of=2026-11-03, or an instant, such as as_of=2026-11-03T12:00:00Z. With known=now it tells what is known now about it.", "Check the address, or start from the overview."}
	case http.StatusMethodNotAllowed:
		p = problem{code, "This address only shows pages", "It takes no changes.", "Start from the overview."}
	}
	s.render(w, r, code, "problem", &view{Title: p.Title, Here: p.Title, Page: p})
}

func (s *server) render(w http.ResponseWriter, r *http.Request, code int, name string, v *view) {
	v.Site, v.Assets = s.Name, s.assets
	v.Now = moment{s.Now(), s.Now()}
	var b bytes.Buffer
	t, err := s.present[name], error(nil)
	if !s.view.Now() {
		v.Past = pastWord(s.view)
		if t, err = s.pages[name].Clone(); err == nil {
			t.Funcs(links(s.view))
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
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = b.WriteTo(w) // the reader may be gone
	}
}

func secure(next http.Handler) http.Handler {
	policy := strings.Join([]string{"default-src 'none'", "style-src 'self'", "img-src 'self' data:",
		"base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"}, "; ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

// keep lets browsers hold a file for ever: its address changes with its content.
func keep(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		next.ServeHTTP(w, r)
	})
}

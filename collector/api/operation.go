package api

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/problem"
)

// Limits of a page.
const (
	DefaultLimit = 500
	MaxLimit     = 5000
)

// operation is one address and method of the API.
type operation struct {
	method, path string
	id           string // OpenAPI's operationId
	about        string // a sentence
	query        []param
	takes        []content // bodies that it reads
	gives        []content // of its answer
	status       int
	// fails by which statuses, beside those that every operation has.
	fails []int
	serve func(c *call, w http.ResponseWriter) error
}

// content is a body: of a Go type as JSON, else bytes.
type content struct {
	media string
	json  reflect.Type
}

const (
	typeJSON  = "application/json"
	typeCSV   = "text/csv"
	typeLines = "application/jsonl"
)

// param is a parameter of the query.
type param struct {
	name, about string
	words       []string // that it may be; nil for any
	number      bool
}

var (
	byCounty = param{name: "county", about: "Only this county: its five-digit FIPS code."}
	asOf     = param{name: "as_of", about: "As of the end of a UTC day (2026-11-03) or of an instant (2026-11-03T12:00:00Z); without it, now."}
	known    = param{name: "known", about: "With as_of: as it was shown then, or what is known now about then.", words: []string{"then", "now"}}
	limited  = param{name: "limit", about: fmt.Sprintf("At most so many, from 1 to %d; without it %d, and %[1]d as CSV where the list has no pages.", MaxLimit, DefaultLimit), number: true}
	after    = param{name: "after", about: "The next of the page before."}
	format   = param{name: "format", about: "csv gives the whole list as CSV, as Accept: text/csv does.", words: []string{"json", "csv"}}
)

// call is a request whose parameters are checked.
type call struct {
	*API
	*http.Request
	takes  []param
	query  url.Values
	view   muster.View
	county muster.County // "" for all
	after  string
	limit  int
	csv    bool
	// begun: something of the answer is on its way.
	begun bool
}

// errBad says what is wrong with a request, errRefused why a change is not made.
type (
	errBad     struct{ error }
	errRefused struct{ error }
)

func (e errBad) Unwrap() error     { return e.error }
func (e errRefused) Unwrap() error { return e.error }

func badf(format string, args ...any) error { return errBad{fmt.Errorf(format, args...)} }

func (a *API) handler(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := a.parse(op, r)
		if err == nil {
			err = op.serve(c, w)
		}
		if err != nil && c != nil && c.begun {
			a.Logger.Error("answer broken off", "path", r.URL.Path, "error", err)
			panic(http.ErrAbortHandler) // a part must not look like the whole
		}
		if err != nil {
			a.fail(w, r, err)
		}
	})
}

// parse checks the query against what the operation takes.
func (a *API) parse(op operation, r *http.Request) (*call, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badf("the query cannot be read: %w", err)
	}
	takes := map[string]bool{}
	for _, p := range op.query {
		takes[p.name] = true
		if s := q.Get(p.name); q.Has(p.name) && p.words != nil && !slices.Contains(p.words, s) {
			last := len(p.words) - 1
			return nil, badf("%s %q is not known: use %s or %s", p.name, s, strings.Join(p.words[:last], ", "), p.words[last])
		}
	}
	for name, values := range q {
		if !takes[name] {
			return nil, badf("there is no parameter %q here", name)
		}
		if len(values) > 1 {
			return nil, badf("%s is given twice", name)
		}
	}
	c := &call{API: a, Request: r, takes: op.query, query: q, limit: DefaultLimit}
	if takes["format"] {
		c.csv = cmp.Or(q.Get("format"), accepts(r)) == "csv"
	}
	if c.csv && (q.Has("after") || q.Has("limit") && takes["after"]) {
		return nil, badf("a CSV file is the whole list: leave out after and limit")
	}
	if q.Has("county") {
		if c.county, err = muster.ParseCounty(q.Get("county")); err != nil {
			return nil, errBad{err}
		}
	}
	if takes["as_of"] {
		if c.view, err = muster.ParseView(q.Get("as_of"), q.Get("known"), a.Now()); err != nil {
			return nil, errBad{err}
		}
	}
	if q.Has("limit") {
		c.limit, err = strconv.Atoi(q.Get("limit"))
		if err != nil || c.limit < 1 || c.limit > MaxLimit {
			return nil, badf("limit is not a number from 1 to %d", MaxLimit)
		}
	}
	b, err := base64.RawURLEncoding.DecodeString(q.Get("after"))
	if err != nil || !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return nil, badf("after is not the next of a page")
	}
	c.after = string(b)
	return c, nil
}

// fail tells an error: one table for all operations.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	var bad errBad
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		problem.Write(w, http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("at most %d KiB are taken here", large.Limit>>10))
	case errors.As(err, &bad):
		problem.Write(w, http.StatusBadRequest, "bad_request", err.Error())
	case errors.Is(err, fs.ErrNotExist):
		problem.Write(w, http.StatusNotFound, "not_found", "there is no such host, county, control, report, policy or request, or it waits for approval")
	case errors.Is(err, fs.ErrExist):
		problem.Write(w, http.StatusConflict, "conflict", err.Error())
	case r.Context().Err() != nil: // nobody would see an answer
	case errors.Is(err, muster.ErrFull):
		problem.Write(w, http.StatusServiceUnavailable, "unavailable", muster.ErrFull.Error())
	case IsRefused(err):
		problem.Write(w, http.StatusUnprocessableEntity, "refused", err.Error())
	default:
		a.Logger.Error("request failed", "path", r.URL.Path, "error", err)
		problem.Write(w, http.StatusServiceUnavailable, "unavailable", "the store does not answer")
	}
}

// get is an operation that answers with what read returns.
func get[T any](path, id, about string, query []param, read func(*call) (T, error)) operation {
	return operation{method: http.MethodGet, path: path, id: id, about: about, query: query, status: http.StatusOK,
		gives: []content{{typeJSON, reflect.TypeFor[T]()}},
		serve: func(c *call, w http.ResponseWriter) error {
			v, err := read(c)
			if err != nil {
				return err
			}
			return c.readable(w, v)
		}}
}

// More ends a page of a list.
type More struct {
	// Next is the after of the following page; it is not there at the end. A page
	// may be short, or empty, and have one all the same.
	Next string `json:"next,omitempty"`
	// NextURL is the address of that page, as the header Link has it too.
	NextURL string `json:"next_url,omitempty"`
}

func (m *More) more() *More { return m }

// list is an operation that answers with a list: the first field of T has its rows,
// and where T embeds More it comes in pages.
func list[T any](path, id, about string, query []param, read func(*call) (T, error)) operation {
	if _, paged := any(new(T)).(interface{ more() *More }); paged {
		query = append(slices.Clone(query), after, limited)
	}
	op := get(path, id, about, append(slices.Clone(query), format), read)
	op.gives = append(op.gives, content{media: typeCSV})
	op.serve = func(c *call, w http.ResponseWriter) error {
		if c.csv {
			return serveCSV(c, w, read)
		}
		v, err := read(c)
		if err != nil {
			return err
		}
		if m, ok := any(&v).(interface{ more() *More }); ok && m.more().Next != "" {
			next := m.more()
			next.Next = base64.RawURLEncoding.EncodeToString([]byte(next.Next))
			c.query.Set("after", next.Next)
			next.NextURL = c.URL.EscapedPath() + "?" + c.query.Encode()
			w.Header().Set("Link", "<"+next.NextURL+`>; rel="next"`)
		}
		return c.readable(w, v)
	}
	return op
}

// readable answers a read, or says that it is what the client has.
func (c *call) readable(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", typeJSON)
	h.Add("Vary", "Accept")
	serveBytes(w, c.Request, append(b, '\n'))
	return nil
}

// serveBytes knows HEAD and If-None-Match.
func serveBytes(w http.ResponseWriter, r *http.Request, b []byte) {
	sum := sha256.Sum256(b)
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

// answer tells what came of a change.
func (c *call) answer(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", typeJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that has gone needs no answer
	return nil
}

// change is an operation that does something and answers with what came of it.
func change[T any](method, path, id, about string, status int, do func(*call, http.ResponseWriter) (T, error)) operation {
	return operation{method: method, path: path, id: id, about: about, status: status,
		gives: []content{{typeJSON, reflect.TypeFor[T]()}}, fails: []int{http.StatusNotFound, http.StatusConflict},
		serve: func(c *call, w http.ResponseWriter) error {
			v, err := do(c, w)
			if err != nil {
				return err
			}
			return c.answer(w, status, v)
		}}
}

// Refused marks why Act does not make a change: something in what was sent, which the
// sender is told. Any other error of Act is for the log.
func Refused(err error) error {
	if err == nil {
		return nil
	}
	return errRefused{err}
}

// IsRefused reports whether the sender of a change may be told the error.
func IsRefused(err error) bool { return errors.As(err, new(errRefused)) }

// between reports whether the instant that is asked about is.
func (c *call) between(from, until time.Time) bool {
	at := c.view.At
	if c.view.Now() {
		at = c.API.Now()
	}
	return !at.Before(from) && at.Before(until)
}

// notNil makes an empty list [] in JSON.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

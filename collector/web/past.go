package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/passmuster/muster"
)

// suffix keeps the instant in an address.
func suffix(v muster.View) string {
	if v.Now() {
		return ""
	}
	q := url.Values{"as_of": {v.At.Format(time.RFC3339Nano)}}
	if v.Known == muster.KnownNow {
		q.Set("known", "now")
	}
	return "?" + q.Encode()
}

// pastWord says what a page of a past instant tells.
func pastWord(v muster.View) string {
	at := moment{At: v.At}.Exact()
	if v.Known == muster.KnownNow {
		return "What is known now about " + at + "."
	}
	return "As it was shown on " + at + "."
}

// picker of the page that was asked for.
func (s *server) picker(r *http.Request, keep []string, today time.Time) *picker {
	p := &picker{Path: r.URL.Path, Known: s.view.Known, Today: today.UTC().Format(time.DateOnly)}
	if !s.view.Now() {
		p.Day = s.view.At.UTC().Format(time.DateOnly)
	}
	for _, name := range keep {
		if value := r.URL.Query().Get(name); value != "" {
			p.Keep = append(p.Keep, link{name, value})
		}
	}
	return p
}

// present is the address of a page without its instant.
func present(r *http.Request) string {
	q := r.URL.Query()
	q.Del("as_of")
	q.Del("known")
	if len(q) == 0 {
		return r.URL.Path
	}
	return r.URL.Path + "?" + q.Encode()
}

// doneWord says what a form did, by the code in the address that it led to.
func doneWord(code string) string {
	return map[string]string{
		"approved": "Approved. What it sent counts from now on.",
		"asked":    "Asked. The computer is told when it is next in contact.",
		"promoted": "Offered. Computers of the ring take it with their next contact.",
		"paused":   "Paused. It is offered to nobody.",
		"ring":     "Kept. It counts from the next contact on.",
	}[code]
}

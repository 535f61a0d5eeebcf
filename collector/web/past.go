package web

import (
	"net/http"
	"net/url"
	"strings"
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

// suffixOf is that for a page which someone who reads counties only has of one of them.
func suffixOf(role muster.Role, c muster.County, v muster.View) string {
	if role != "" || c == "" {
		return suffix(v)
	}
	return "?" + url.Values{"county": {string(c)}}.Encode() + strings.Replace(suffix(v), "?", "&", 1)
}

// pastWord says what a page of a past instant tells.
func pastWord(v muster.View) string {
	at := moment{At: v.At}.Exact()
	if v.Known == muster.KnownNow {
		return "What is known now about " + at + "."
	}
	return "As it was shown on " + at + "."
}

// timelessWord says that a page is of now, to one who comes from a past instant.
func timelessWord(v muster.View) string {
	return "This page always shows now, not " + moment{At: v.At}.Exact() + "."
}

// instantOf a view, as parameters: Href is the name.
func instantOf(v muster.View) (list []link) {
	if !v.Now() {
		list = append(list, link{"as_of", v.At.Format(time.RFC3339Nano)})
	}
	if v.Known == muster.KnownNow {
		list = append(list, link{"known", string(v.Known)})
	}
	return list
}

// picker of the page that was asked for.
func (s *server) picker(r *http.Request, keep []string, today time.Time) *picker {
	p := &picker{Path: r.URL.Path, Known: s.view.Known, Today: today.UTC().Format(time.DateOnly)}
	if !s.view.Now() {
		p.Day, p.Words = s.view.At.UTC().Format(time.DateOnly), s.view.At.UTC().Format("2 January 2006")
	}
	for _, name := range keep {
		if value := r.URL.Query().Get(name); value != "" {
			p.Keep = append(p.Keep, link{name, value})
		}
	}
	for _, ago := range []struct {
		days int
		word string
	}{{1, "Yesterday"}, {7, "A week ago"}, {30, "30 days ago"}} {
		p.Often = append(p.Often, link{today.UTC().AddDate(0, 0, -ago.days).Format(time.DateOnly), ago.word})
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
		"approved":      "Approved. What it sent counts from now on.",
		"approved-some": "Approved. What they sent counts from now on.",
		"contacts":      "Kept. The county's page and its scorecard show them.",
		"expected":      "Kept. A computer on the list that does not report is told as missing.",
		"retired":       "Retired. It is in no list and no count any more.",
		"cleared":       "Taken away. It comes back if two computers use this identity again.",
		"asked":         "Asked. The computer is told when it is next in contact.",
		"promoted":      "Offered. Computers of the ring take it with their next contact.",
		"uploaded":      "Kept, and offered to nobody yet. This is what it changes.",
		"known":         "This bundle was here already. Nothing was changed by sending it again.",
		"ask":           "Asked. The answer of the state's security officer will stand here.",
		"granted":       "Granted. It excuses nothing yet: put the lines below into the policy, sign it and publish it.",
		"declined":      "Declined. Whoever asked reads your answer here.",
		"paused":        "Paused. It is offered to nobody.",
		"ring":          "Kept. It counts from the next contact on.",
	}[code]
}

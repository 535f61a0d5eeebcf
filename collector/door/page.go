package door

import (
	"cmp"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/problem"
)

// Page is what the door itself has to say to a person.
type Page struct {
	Status int
	// Title, and in sentences what is so and what to do about it; Way may be "". They
	// are plain text, and may name the person.
	Title, Text, Way string
	// Href is where to go on, and Link its words; "" for nowhere.
	Href, Link string
	// Counties of the person: the address wants one of them as ?county=.
	Counties []muster.County
}

// tell shows a person a page. Under a name that is not the collector's it is a plain
// one: what reads it there may be another's.
func (d *Door) tell(w http.ResponseWriter, r *http.Request, p Page) {
	if d.Page == nil || p.Status == http.StatusMisdirectedRequest {
		plain(w, p)
		return
	}
	d.Page(w, r, p)
}

func plain(w http.ResponseWriter, p Page) {
	link := ""
	if p.Href != "" {
		link = fmt.Sprintf("<p><a href=\"%s\">%s</a></p>\n", html.EscapeString(p.Href), html.EscapeString(p.Link))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(p.Status)
	_, _ = fmt.Fprintf(w, "<!doctype html>\n<html lang=\"en\">\n<title>%[1]s</title>\n<h1>%[1]s</h1>\n<p>%s %s</p>\n%s</html>\n",
		html.EscapeString(p.Title), html.EscapeString(p.Text), html.EscapeString(p.Way), link)
}

// refuse answers scripts with problem+json and people with a page. What follows ": " in
// detail is what to do about it.
func (d *Door) refuse(w http.ResponseWriter, r *http.Request, status int, code, detail string) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		problem.Write(w, status, code, detail)
		return
	}
	why, way, _ := strings.Cut(detail, ": ")
	p := Page{Status: status, Title: title(code), Text: sentence(why), Way: sentence(way)}
	switch code {
	case "login_needed", "bad_link", "wrong_name":
	case "busy", "bad_state", "sign_in_refused":
		p.Href, p.Link = "/login", "Sign in"
	case "county_needed":
		p.Way, p.Counties = "", CountiesOf(Sender(r.Context()))
	default:
		if who := Sender(r.Context()); Highest(who) != "" || len(CountiesOf(who)) > 0 {
			p.Href, p.Link = "/", "To the start"
		}
	}
	d.tell(w, r, p)
}

// title of a refusal, by its code.
func title(code string) string {
	return cmp.Or(map[string]string{
		"not_found":       "There is nothing here",
		"role_needed":     "Your role does not reach this far",
		"login_needed":    "Sign in first",
		"county_needed":   "Which county?",
		"bad_request":     "This address cannot be read",
		"unavailable":     "The collector cannot answer just now",
		"bad_link":        "This link does not open anything any more",
		"not_here":        "You are signed in already",
		"busy":            "Too many sign-ins",
		"bad_state":       "This sign-in has ended",
		"sign_in_refused": "You could not be signed in",
	}[code], "This was not done")
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + s[size:] + "."
}

func (d *Door) missing(w http.ResponseWriter, r *http.Request) {
	d.refuse(w, r, http.StatusNotFound, "not_found", "nothing is at this address, or it waits for approval, or it is another county's")
}

func (d *Door) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil { // nobody would see an answer
		return
	}
	d.Logger.Error("request failed", "path", r.URL.Path, "error", err)
	d.refuse(w, r, http.StatusServiceUnavailable, "unavailable", "the store does not answer: try again in a minute, nothing is lost")
}

// signIn leads a person to the provider, and back to where they were.
func (d *Door) signIn(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		problem.Write(w, http.StatusUnauthorized, "login_needed", "sign in at /login")
		return
	}
	to := "/login"
	if r.Method == http.MethodGet {
		to += "?" + url.Values{"to": {r.URL.RequestURI()}}.Encode()
	}
	d.tell(w, r, Page{Status: http.StatusUnauthorized, Title: "Sign in", Text: "This is for people who are signed in.",
		Way: "Your own sign-in service asks who you are, and leads back here.", Href: to, Link: "Sign in"})
}

// welcome leads on. A redirect after a click elsewhere would come without the strict
// cookie; a fresh navigation does not.
func (d *Door) welcome(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Refresh", "0; url="+to)
	d.tell(w, r, Page{Status: http.StatusOK, Title: "You are signed in", Text: "The page opens by itself.", Href: to, Link: "Go on"})
}

// farewell says that the session has ended.
func (d *Door) farewell(w http.ResponseWriter, r *http.Request) {
	p := Page{Status: http.StatusOK, Title: "You are signed out", Text: "This browser shows nothing of the state any more.",
		Way: "To come back, have a link made: muster-collector link."}
	if WayOf(r.Context()) == ViaTLS {
		p.Way, p.Href, p.Link = "", "/login", "Sign in"
	}
	d.tell(w, r, p)
}

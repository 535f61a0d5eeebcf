package web

import (
	"net/http"

	"github.com/passmuster/muster"
)

// Notice is what a person is told instead of a page.
type Notice struct {
	Status int
	// Title, and in sentences what is so and what to do about it; Way may be "".
	Title, Text, Way string
	// Href is where to go on, and Link its words; "" for nowhere.
	Href, Link string
	// Counties of the person: the address wants one of them as ?county=.
	Counties []muster.County
}

// notice is a Notice with its choices.
type notice struct {
	Notice
	Choices []link
}

// Error is the number that people who help ask for; 0 where nothing went wrong.
func (n notice) Error() int {
	if n.Status < 400 || n.Status == http.StatusUnauthorized || len(n.Choices) > 0 {
		return 0
	}
	return n.Status
}

// Tell shows a notice. Who has no role is shown nothing else.
func (p *Pages) Tell(w http.ResponseWriter, r *http.Request, n Notice) {
	secureHeaders(w.Header())
	p.of(p.Who(r), muster.View{}).notify(w, r, n)
}

// Refuse tells a person why what they asked for was not done, a sentence, and what to
// do about it.
func (p *Pages) Refuse(w http.ResponseWriter, r *http.Request, code int, why, way string) {
	p.Tell(w, r, Notice{Status: code, Title: "This was not done", Text: why, Way: way, Href: "/", Link: "To the start"})
}

func (s *server) notify(w http.ResponseWriter, r *http.Request, n Notice) {
	page := notice{Notice: n}
	for _, c := range n.Counties {
		q := r.URL.Query()
		q.Set("county", string(c))
		page.Choices = append(page.Choices, link{r.URL.EscapedPath() + "?" + q.Encode(), countyName(c)})
	}
	s.render(w, r, n.Status, "problem", &view{Title: n.Title, Here: n.Title, Page: page})
}

// problem says what went wrong and what to do about it.
func (s *server) problem(w http.ResponseWriter, r *http.Request, code int) {
	n := Notice{Title: "This page could not be made", Text: "The collector could not read its own records. Nothing is lost: reports are kept by the computers until the collector has them.",
		Way: "Try again in a minute. If it stays, the collector's log says why."}
	switch code {
	case http.StatusNotFound:
		n = Notice{Title: "There is nothing here", Text: "No computer, county, control or policy has this address. A computer that waits for approval, or is retired, has no page.", Way: "Check the address, or search for it above."}
	case http.StatusBadRequest:
		n = Notice{Title: "This is no instant of the past", Text: "A page can be asked as of a day, such as as_of=2026-11-03, or an instant, such as as_of=2026-11-03T12:00:00Z. With known=now it tells what is known now about it.", Way: "Check the address, or choose a day at the top of a page."}
	case http.StatusMethodNotAllowed:
		n = Notice{Title: "This address only shows pages", Text: "It takes no changes.", Way: "Go back, and look at the page anew."}
	}
	n.Status, n.Href, n.Link = code, "/", "To the overview"
	if s.person.Role == "" {
		n.Link = "To the start"
	}
	s.notify(w, r, n)
}

package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// A search finds hosts, of the county that is asked for.
func TestSearch(t *testing.T) {
	s := newSite(t)
	for query, want := range map[string][]muster.HostID{
		"q=EMS": {s.far}, "q=ems&county=17031": nil, "q=ems&county=17043": {s.far}, "q=" + string(s.odd): {s.odd},
		"q=%3DCMD": {s.odd}, "q=%25": nil, "q=waiting": nil, "q=": nil, "q=%00": nil, "q=s&limit=1": {s.far},
	} {
		body := s.get("/api/v1/search?" + query)
		for id := range s.hosts {
			found := strings.Contains(body, `"id":"`+string(id)+`"`)
			wanted := len(want) == 1 && want[0] == id
			if found != wanted {
				t.Errorf("%s: %s is found: %v", query, id, found)
			}
		}
	}
}

// Contacts that were sent come back as they are, and a request is answered once.
func TestDesk(t *testing.T) {
	s := newSite(t)
	const list = `{"contacts":[{"name":"Zoë","duty":"clerk","phone":"+1","email":"z@example.gov"},{"name":"desk"}]}` + "\n"
	if w := s.ask(http.MethodPut, "/api/v1/counties/17043/contacts", list); w.Code != http.StatusOK || w.Body.String() != list {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := s.get("/api/v1/counties/17043/contacts"); got != list {
		t.Errorf("contacts: %s", got)
	}
	w := s.ask(http.MethodPost, "/api/v1/counties/17043/asks", `{"host": "`+string(s.far)+`", "control": "MVS-ENC-01", "reason": "old", "until": "2026-12-24"}`)
	if want := `"until":"2026-12-24T00:00:00Z","by":"ciso@example.gov"`; w.Code != http.StatusCreated || !strings.Contains(w.Body.String(), want) {
		t.Errorf("%d, no %s in %s", w.Code, want, w.Body)
	}
	if got := s.get("/api/v1/asks?county=17043&open=true"); strings.Count(got, `"id":`) != 1 {
		t.Errorf("open: %s", got)
	}
	if w := s.ask(http.MethodPost, "/api/v1/asks/2/answer", `{"state": "declined", "answer": "no"}`); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"answered_by":"ciso@example.gov"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := s.get("/api/v1/asks?county=17043&open=true"); got != `{"asks":[],"total":0}`+"\n" {
		t.Errorf("open after: %s", got)
	}
	if got := s.get("/api/v1/asks?open=false&control=MVS-ENC-01"); strings.Count(got, `"id":2`) != 1 || !strings.Contains(got, `"total":1`) {
		t.Errorf("answered: %s", got)
	}
	if got := s.get("/api/v1/asks?control=MVS-LOG-01"); got != `{"asks":[],"total":0}`+"\n" {
		t.Errorf("of another control: %s", got)
	}
	first := s.get("/api/v1/asks?limit=1")
	_, next, _ := strings.Cut(first, `"next_url":"`)
	next, _, _ = strings.Cut(next, `"`)
	if next = strings.ReplaceAll(next, `\u0026`, "&"); !strings.Contains(first, `"id":2`) || !strings.Contains(first, `"total":2`) || !strings.Contains(s.get(next), `"id":1`) {
		t.Errorf("page by page: %s, then %s", first, next)
	}
}

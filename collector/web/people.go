package web

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// Entry says how people come in, for the page about them.
type Entry struct {
	// Routes are the patterns of all routes that May knows.
	Routes []string
	// Tailnet: people come in over one, and it tells their roles.
	Tailnet bool
	// Issuer of the sign-in service, and what it says of whom to give a role; "" and
	// nil for none.
	Issuer string
	Grants []Grant
}

// Grant is a role for whoever the sign-in service says Value of in Claim.
type Grant struct {
	Claim, Value string
	Role         muster.Role
}

// A duty is something to do, and the routes that do it: who may use the first may do it.
type duty struct {
	Words  string
	Routes []string
}

// duties are what people do here. Whatever else changes something is told by its route.
func duties() []duty {
	return []duty{
		{"See a county: its computers, and what to fix first", []string{"GET /counties/{county}"}},
		{"See a computer: its findings and their evidence", []string{"GET /hosts/{host}"}},
		{"Take out lists and exports", []string{"GET /api/v1/hosts"}},
		{"See a control: why it matters, and where it fails", []string{"GET /controls/{control}"}},
		{"Ask for a waiver", []string{"POST /counties/{county}/asks"}},
		{"See the whole state, its policies and how far they are rolled out", []string{"GET /policies"}},
		{"Read the log, and this page", []string{"GET /log"}},
		{"Read the collector's metrics", []string{"GET /metrics"}},
		{"Approve a computer that waits", []string{"POST /hosts/{host}/approve", "POST /pending/approve"}},
		{"Ask a computer for an audit", []string{"POST /hosts/{host}/audit"}},
		{"Retire a computer, or say that it is no copy", []string{"POST /hosts/{host}/retire", "POST /hosts/{host}/clear-clone"}},
		{"Say which computers a county has, and whom to call there", []string{"POST /counties/{county}/expected", "PUT /counties/{county}/expected",
			"POST /counties/{county}/contacts", "PUT /counties/{county}/contacts"}},
		{"Take in files from a courier's stick", []string{"POST /courier"}},
		{"Answer a request for a waiver", []string{"POST /asks/{ask}/answer"}},
		{"Publish a policy", []string{"POST /policies"}},
		{"Offer a policy to more computers, pause it, say who tries it first", []string{"POST /policies/{version}/promote", "POST /policies/{version}/pause",
			"POST /policies/rings", "PUT /rings"}},
	}
}

// roleColumn is a role in the table of duties.
type roleColumn struct {
	Role muster.Role // "" reads counties only
	Word string
	Mine bool
}

// dutyRow says who may do something.
type dutyRow struct {
	Words string
	May   []string // a word for each role, "" for no
}

type peoplePage struct {
	Entry
	Me    Person
	Roles []roleColumn
	Rows  []dutyRow
}

func (s *server) people(context.Context, *http.Request) (*view, error) {
	page := peoplePage{Entry: s.Entry, Me: s.person}
	for _, role := range roles() {
		word := roleWord(role)
		if role == "" {
			word = "Reads one county"
		}
		page.Roles = append(page.Roles, roleColumn{role, word, role == s.person.Role})
	}
	told := map[string]bool{}
	for _, d := range duties() {
		for _, route := range d.Routes {
			told[route] = true
		}
		route := s.known(d.Routes)
		if route == "" {
			continue
		}
		page.Rows = append(page.Rows, s.dutyRow(d.Words, route))
	}
	for _, route := range s.Entry.Routes {
		if plain := strings.Replace(route, "/api/v1/", "/", 1); changes(route) && !told[plain] {
			told[plain] = true
			page.Rows = append(page.Rows, s.dutyRow(route, route))
		}
	}
	return &view{Title: "People", Here: "People", Page: page}, nil
}

// known is the route of a duty that there is: a form, a page, or their twin in the API.
func (s *server) known(routes []string) string {
	for _, route := range s.Entry.Routes {
		if slices.Contains(routes, strings.Replace(route, "/api/v1/", "/", 1)) || slices.Contains(routes, route) {
			return route
		}
	}
	return ""
}

// changes reports whether people or their programs change something by the route.
func changes(route string) bool {
	method, path, _ := strings.Cut(route, " ")
	return path != "" && method != http.MethodGet && !strings.HasPrefix(path, "/v1/") && path != "/logout" && path != "/api/v1/links"
}

func (s *server) dutyRow(words, route string) dutyRow {
	row := dutyRow{Words: words}
	for _, role := range roles() {
		word := ""
		if s.May(role, route) {
			word = "yes"
			if role == "" {
				word = "their county"
			}
		}
		row.May = append(row.May, word)
	}
	return row
}

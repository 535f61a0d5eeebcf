package web_test

import (
	"context"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
	"github.com/passmuster/muster/collector/web"
)

// kept is a real store as the pages ask it, without evidence and uploads.
type kept struct{ store.Store }

func (kept) HostEvidence(context.Context, muster.HostID, uint64) (map[string]muster.Evidence, error) {
	return nil, nil
}
func (kept) Upload(context.Context, string) (u muster.Upload, err error) { return u, fs.ErrNotExist }

// tailnet is one where the address of people is their name.
type tailnet struct{ people map[string][]muster.Role }

func (tailnet) Listen(string, string) (net.Listener, error) { return nil, net.ErrClosed }
func (tailnet) Status(context.Context) muster.TailnetStatus {
	return muster.TailnetStatus{Name: "muster"}
}
func (n tailnet) WhoIs(_ context.Context, address string) (muster.Peer, error) {
	return muster.Peer{Login: address, Roles: n.people[address]}, nil
}

// homes is what the door asks of the store where nobody has a session.
type homes struct {
	door.Store
	kept kept
}

func (h homes) HostCounty(ctx context.Context, id muster.HostID) (muster.County, error) {
	e, err := h.kept.Enrolled(ctx, id)
	return e.County, err
}

// Every page, for everyone, where there is nothing yet, where the store does not answer,
// where what it is about is not there, and where the reader may not see it: it says so, and
// what to do, and the way to everything else stays.
func TestEveryPageInEveryState(t *testing.T) {
	people := map[string][]muster.Role{"viewer": {muster.RoleViewer}, "operator": {muster.RoleOperator}, "officer": {muster.RoleCISO},
		"clerk": {"county:56021"}, "helper": {"county:56001", "county:56021"}}
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "muster.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ask := behindTheDoor(t, kept{s}, people)
	const gone = "There is nothing here"
	there := strings.NewReplacer("GET ", "", "{$}", "", "{county}", "56021", "{control}", "MVS-ENC-01", "{host}", string(muster.NewHostID([]byte("x"))), "{version}", "7")
	absent := strings.NewReplacer("GET ", "", "{county}", "99999", "{control}", "MVS-NO-99", "{host}", "x", "{version}", "x")
	// What each page says where there is nothing yet, and whether it asks the store at all.
	pages := map[string]struct {
		says  string
		apart bool
	}{
		"GET /{$}":                         {says: "The first county appears here with its first report."},
		"GET /changes":                     {says: "Nothing "},
		"GET /quiet":                       {says: "No computer reports yet"},
		"GET /counties":                    {says: "No computer of this county has reported yet."},
		"GET /counties/{county}":           {says: "To begin, install muster with the county's site file"},
		"GET /counties/{county}/scorecard": {says: "No computer of this county has reported yet."},
		"GET /counties/{county}/edit":      {says: "New contact"},
		"GET /hosts/{host}":                {says: gone},
		"GET /controls/{control}":          {says: "has been asked yet."},
		"GET /pending":                     {says: "A new computer appears here with its first contact"},
		"GET /courier":                     {says: "Take in files from a stick", apart: true},
		"GET /policies":                    {says: "No policy was published here."},
		"GET /policies/{version}":          {says: gone},
		"GET /exceptions":                  {says: "No waiver is in force."},
		"GET /exceptions/ask":              {says: "Ask for a waiver"},
		"GET /search":                      {says: "You can search for", apart: true},
		"GET /exports":                     {says: "Lists for a spreadsheet"},
		"GET /people":                      {says: "What each role may do", apart: true},
		"GET /log":                         {says: "Nothing has happened yet."},
	}
	// see holds a page to what each must keep.
	see := func(t *testing.T, name, path string, code int, says string) {
		t.Helper()
		w := ask(name, path)
		if w.Code == http.StatusSeeOther {
			return // home
		}
		d, err := parse(w.Body.String())
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, w.Body)
		}
		if w.Code != code {
			t.Errorf("%s answers %d, not %d", path, w.Code, code)
		}
		if d.has(t, says); code >= 400 {
			d.has(t, "Error "+strconv.Itoa(code))
		}
		if len(d.Links) < 7 {
			t.Errorf("%s leads only to %q", path, d.Links)
		}
		if bad := poor.FindString(w.Body.String()); bad != "" {
			t.Errorf("%s shows %q", path, bad)
		}
	}
	walk := func(t *testing.T, each func(t *testing.T, name, pattern, query string, code int)) {
		for name, roles := range people {
			_, clerk := roles[0].County()
			for _, rule := range door.Table() {
				if !slices.Contains(web.Patterns(), rule.Pattern) || rule.Pattern == "GET /live" || rule.Pattern == "GET /static/" {
					continue
				}
				code, query := http.StatusOK, ""
				if rule.County == door.ByQuery && clerk {
					query = "?county=56021" // else they are asked which
				}
				switch {
				case clerk && rule.Need == muster.RoleViewer && rule.County == door.Never:
					code = http.StatusNotFound
				case clerk && rule.Need != muster.RoleViewer, !clerk && !door.May(roles[0], rule.Pattern):
					code = http.StatusForbidden
				}
				t.Run(name+" "+rule.Pattern, func(t *testing.T) { each(t, name, rule.Pattern, query, code) })
			}
		}
	}
	for _, pattern := range web.Patterns() {
		if pages[pattern].says == "" && pattern != "GET /live" && pattern != "GET /static/" {
			t.Errorf("nothing is said of %s", pattern)
		}
	}
	walk(t, func(t *testing.T, name, pattern, query string, code int) {
		path, page := there.Replace(pattern)+query, pages[pattern]
		switch {
		case code == http.StatusForbidden:
			see(t, name, path, code, "Your role does not reach this far")
		case code == http.StatusNotFound || page.says == gone:
			see(t, name, path, http.StatusNotFound, gone)
		default:
			see(t, name, path, code, page.says)
			if absent := absent.Replace(pattern) + query; strings.Contains(pattern, "/{") && pattern != "GET /{$}" {
				see(t, name, absent, http.StatusNotFound, gone)
			}
		}
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	walk(t, func(t *testing.T, name, pattern, query string, code int) {
		path, page := there.Replace(pattern)+query, pages[pattern]
		switch _, clerk := people[name][0].County(); {
		case code != http.StatusOK:
		case page.apart:
			see(t, name, path, code, page.says)
		case clerk && strings.Contains(pattern, "{host}"): // the door asks first
			see(t, name, path, http.StatusServiceUnavailable, "Try again in a minute, nothing is lost.")
		default:
			see(t, name, path, http.StatusInternalServerError, "This page could not be made")
		}
	})
}

// poor is what no page may show: what a machine says, and lists without a line.
var poor = regexp.MustCompile(`(?i)sql|database|goroutine|panic|&lt;nil&gt;|%!|<tbody>\s*</tbody>|<ul[^>]*>\s*</ul>|<ol[^>]*>\s*</ol>|<select[^>]*>\s*</select>|\b0 of 0\b`)

// behindTheDoor asks the pages as someone.
func behindTheDoor(t *testing.T, k kept, people map[string][]muster.Role) func(name, path string) *httptest.ResponseRecorder {
	t.Helper()
	b, _ := one(nil)
	entry := web.Entry{Tailnet: true}
	for _, rule := range door.Table() {
		entry.Routes = append(entry.Routes, rule.Pattern)
	}
	pages, err := web.New(web.Options{Reader: k, Entry: entry, Catalogue: b.Catalogue, Name: "State of Example", State: "56", May: door.May,
		Who: func(r *http.Request) web.Person {
			p := door.Sender(r.Context())
			return web.Person{Name: p.Login, Role: door.Highest(p), Counties: door.CountiesOf(p)}
		}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := door.New(door.Options{Store: homes{kept: k}, Tailnet: tailnet{people: people}, Page: func(w http.ResponseWriter, r *http.Request, p door.Page) {
		pages.Tell(w, r, web.Notice(p))
	}})
	if err != nil {
		t.Fatal(err)
	}
	handlers := map[string]http.Handler{}
	for _, pattern := range web.Patterns() {
		handlers[pattern] = pages
	}
	all := d.Wrap(handlers)
	return func(name, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "http://muster"+path, nil)
		r.RemoteAddr = name
		w := httptest.NewRecorder()
		all.ServeHTTP(w, r.WithContext(door.ViaTailnet.Context(r.Context())))
		return w
	}
}

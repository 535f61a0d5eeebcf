package door

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/passmuster/muster"
)

// Whatever the door has to say, people are told by the pages and programs by a problem.
func TestPages(t *testing.T) {
	var mu sync.Mutex
	var said Page
	l := newLab(t, func(o *Options) {
		o.Page = func(w http.ResponseWriter, _ *http.Request, p Page) {
			mu.Lock()
			defer mu.Unlock()
			said = p
			w.WriteHeader(p.Status)
		}
	})
	asked := func(c *http.Client, method, address string, want int, title, way string) Page {
		t.Helper()
		mu.Lock()
		said = Page{}
		mu.Unlock()
		code, _, _ := l.do(c, method, address)
		mu.Lock()
		defer mu.Unlock()
		if code != want || said.Status != want || said.Title != title || said.Way != way {
			t.Errorf("%s %s: %d %+v", method, address, code, said)
		}
		return said
	}
	c := l.browser()
	local, tls := l.loopback.URL, l.tls.URL
	asked(c, "GET", local+"/", 401, "Sign in first", "Open the link that muster-collector printed, or have another one made by muster-collector link.")
	asked(c, "GET", local+"/login?token=x", 401, "This link does not open anything any more", "Make another with muster-collector link.")
	if p := asked(c, "GET", tls+"/?as_of=2026-11-03", 401, "Sign in", "Your own sign-in service asks who you are, and leads back here."); p.Href != "/login?to=%2F%3Fas_of%3D2026-11-03" {
		t.Errorf("%+v", p)
	}
	if p := asked(c, "GET", tls+"/login", 200, "You are signed in", ""); p.Href != "/" {
		t.Errorf("%+v", p)
	}
	if p := asked(c, "POST", tls+"/policies/rings", 403, "Your role does not reach this far", "Whoever runs the collector can give it, in oidc.grants."); p.Text != "The role ciso is needed here, and vera@state.example does not have it." || p.Href != "/" {
		t.Errorf("%+v", p)
	}
	asked(c, "GET", tls+"/nothing", 404, "There is nothing here", "")
	asked(c, "GET", tls+"/login/callback?state=x", 400, "This sign-in has ended", "Begin anew.")
	if p := asked(c, "POST", tls+"/logout", 200, "You are signed out", ""); p.Href != "/login" {
		t.Errorf("%+v", p)
	}
	// Programs, and whoever reads under another's name, are not shown them.
	said = Page{}
	l.wants(c, "a program", tls+"/api/v1/me", http.StatusUnauthorized)
	r := httptest.NewRequest(http.MethodGet, "http://attacker.example/", nil)
	w := httptest.NewRecorder()
	l.Wrap(l.handlers()).ServeHTTP(w, r)
	if mu.Lock(); w.Code != http.StatusMisdirectedRequest || said.Status != 0 {
		t.Errorf("%d %+v", w.Code, said)
	}
	mu.Unlock()
}

// A reader of several counties is led to all of them, or asked for one, at the instant
// that was asked about.
func TestSeveralCounties(t *testing.T) {
	var said Page
	d := &Door{Options: Options{Store: nowhere{}, Page: func(w http.ResponseWriter, _ *http.Request, p Page) { said = p }}}
	ask := func(scope Scope, address string, theirs ...muster.County) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, address, nil)
		var p muster.Peer
		for _, c := range theirs {
			p.Roles = append(p.Roles, muster.CountyRole(c))
		}
		r = r.WithContext(context.WithValue(r.Context(), senderKey, p))
		d.county(w, r, Rule{County: scope}, theirs, http.NotFoundHandler())
		return w
	}
	for want, theirs := range map[string][]muster.County{"/counties/17031?as_of=2026-11-03": {"17031"}, "/counties?as_of=2026-11-03": {"17031", "17089"}} {
		if w := ask(Home, "/?as_of=2026-11-03", theirs...); w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
			t.Errorf("%q: %d %v", theirs, w.Code, w.Header())
		}
	}
	if ask(ByQuery, "/exports", "17031", "17089"); said.Title != "Which county?" || len(said.Counties) != 2 || said.Way != "" || said.Status != http.StatusBadRequest {
		t.Errorf("%+v", said)
	}
	if w := ask(ByQuery, "/api/v1/hosts", "17031", "17089"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "?county=17031") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Without pages it is a plain one, in which nothing is believed.
func TestPlainPage(t *testing.T) {
	w := httptest.NewRecorder()
	(&Door{}).tell(w, httptest.NewRequest(http.MethodGet, "/", nil), Page{Status: 418, Title: "<b>", Text: "<i>", Way: "&", Href: `"><script>`, Link: "<u>"})
	if body := w.Body.String(); w.Code != 418 || strings.ContainsAny(strings.NewReplacer("<p>", "", "</p>", "", "<h1>", "", "</h1>", "").Replace(body[strings.Index(body, "<h1>"):strings.LastIndex(body, "<p>")]), "<>") || strings.Contains(body, "<script") {
		t.Errorf("%d %s", w.Code, body)
	}
}

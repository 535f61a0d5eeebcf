package collector

import (
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
)

var hrefs = regexp.MustCompile(` href="([^"]*)"`)

// What the door says looks like the pages, and before someone is let in tells nothing of
// the state.
func TestPagesOfTheDoor(t *testing.T) {
	o := openAll(t)
	shipOf(t, o.running, o.keys.hostToken, "17031", "counting-pc")
	ours := []muster.Role{"county:17031", "county:17089"}
	nobody, trusting := &http.Client{}, &http.Client{Transport: o.trust}
	peer := func(roles ...muster.Role) muster.Peer {
		return muster.Peer{Node: "n1", Login: "someone@example.gov", Roles: roles}
	}
	for name, c := range map[string]struct {
		who          caller
		method, path string
		code         int
		says         string
		known        bool // so that they have the navigation
	}{
		"loopback":             {caller{client: nobody, base: o.base}, "GET", "/", 401, "Sign in first", false},
		"old link":             {caller{client: nobody, base: o.base}, "GET", "/login?token=x", 401, "This link does not open anything any more", false},
		"signed out":           {caller{client: nobody, base: o.base}, "POST", "/logout", 200, "You are signed out", false},
		"another origin":       {caller{client: nobody, base: o.base, header: "Origin: null"}, "POST", "/policies/rings", 403, "It came from a page of another origin.", false},
		"TLS":                  {caller{client: trusting, base: o.tls}, "GET", "/counties/17031", 401, "Sign in", false},
		"no style of this":     {caller{client: trusting, base: o.tls}, "GET", "/static/nothing", 404, "There is nothing here", false},
		"a stranger":           {caller{client: nobody, base: o.far, peer: peer()}, "GET", "/", 403, "The role viewer is needed here, and someone@example.gov does not have it.", false},
		"a viewer's form":      {caller{client: nobody, base: o.far, peer: peer(muster.RoleViewer)}, "POST", "/policies/rings", 403, "The role ciso is needed here", true},
		"one county, nothing":  {caller{client: nobody, base: o.far, peer: peer(ours[0])}, "GET", "/counties/17089", 404, "There is nothing here", true},
		"which county":         {caller{client: nobody, base: o.far, peer: peer(ours...)}, "GET", "/exports", 400, `href="/exports?county=17089"`, true},
		"home of two counties": {caller{client: nobody, base: o.far, peer: peer(ours...)}, "GET", "/counties", 200, "You read 2 counties.", true},
	} {
		code, h, body := o.as(c.who, c.method, c.path, "")
		if code != c.code || !strings.Contains(html.UnescapeString(body), c.says) {
			t.Errorf("%s: %d %s", name, code, body)
		}
		if known := strings.Contains(body, `aria-label="Places"`); known != c.known {
			t.Errorf("%s: navigation %v", name, known)
		}
		if secret := strings.Contains(body, "counting-pc") || strings.Contains(body, muster.Version); secret && !c.known {
			t.Errorf("%s is told: %s", name, body)
		}
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "style-src 'self'") || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", name, h)
		}
		stranger := c.who
		stranger.peer = muster.Peer{}
		for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
			if strings.HasPrefix(m[1], "/static/") {
				if code, _, _ := o.as(stranger, "GET", m[1], ""); code != http.StatusOK {
					t.Errorf("%s: %s is answered %d", name, m[1], code)
				}
			}
		}
	}
	// One under whose name this is not the collector sees not even that.
	req, err := http.NewRequest(http.MethodGet, o.base+"/", nil)
	must(t, err)
	req.Host = "attacker.example"
	resp, err := nobody.Do(req)
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusMisdirectedRequest || strings.Contains(string(body), o.Collector.Name) || strings.Contains(string(body), "Muster") {
		t.Errorf("%s %s", resp.Status, body)
	}
}

// Every link of the page of exports gives a file, to whoever is shown it.
func TestExportsAreThere(t *testing.T) {
	o := openAll(t)
	shipOf(t, o.running, o.keys.hostToken, "17031", "counting-pc")
	files := 0
	for _, role := range []muster.Role{muster.RoleViewer, "county:17031"} {
		who := caller{client: &http.Client{}, base: o.far, peer: muster.Peer{Node: "n1", Login: "someone@example.gov", Roles: []muster.Role{role}}}
		for _, query := range []string{"", "?county=17031", "?county=17031&known=now&as_of=" + o.clock.Now().UTC().Format("2006-01-02T15:04:05Z")} {
			code, _, body := o.as(who, "GET", "/exports"+query, "")
			if code != http.StatusOK {
				t.Fatalf("%s%s: %d", role, query, code)
			}
			for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
				if path := html.UnescapeString(m[1]); strings.HasPrefix(path, "/api/") {
					files++
					if code, h, answer := o.as(who, "GET", path, ""); code != http.StatusOK || h.Get("Content-Disposition") == "" && !strings.HasSuffix(path, "openapi.json") {
						t.Errorf("%s as %s: %d %.200s", path, role, code, answer)
					}
				}
			}
		}
	}
	if files < 90 {
		t.Errorf("only %d links", files)
	}
}

// The page about roles has words for whatever people can change.
func TestPeopleInWords(t *testing.T) {
	o := openAll(t)
	_, _, body := o.as(caller{client: &http.Client{}, base: o.far, peer: muster.Peer{Node: "n1", Roles: []muster.Role{muster.RoleViewer}}}, "GET", "/people", "")
	for _, rule := range door.Table() {
		if method, _, ok := strings.Cut(rule.Pattern, " "); ok && method != http.MethodGet && strings.Contains(body, ">"+rule.Pattern+"<") {
			t.Errorf("%s has no words: give it some in collector/web/people.go", rule.Pattern)
		}
	}
	for _, want := range []string{"groups</bdi> is <bdi>muster county:17089</bdi>", o.provider.URL, "Approve a computer that waits"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if strings.Contains(body, "oidc-secret") || strings.Contains(body, o.OIDC.ClientSecret) {
		t.Error("the page tells the secret")
	}
}

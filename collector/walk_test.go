package collector

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/door/doortest"
)

// clock that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// grounds are a collector with every way in and the same people in each.
type grounds struct {
	*running
	clock    *clock
	network  *network
	provider *doortest.Provider
	far, tls string // base addresses of the tailnet and of TLS
	trust    http.RoundTripper
}

func openAll(t *testing.T, change ...func(*Options)) *grounds {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, free.Close())
	o := &grounds{clock: &clock{now: time.Now()}, network: &network{listener: l}, far: "http://" + l.Addr().String(), tls: "https://" + free.Addr().String()}
	o.provider = doortest.New(t, o.clock.Now)
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	o.trust = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: doortest.Certificate(t, "muster", cert, key)}}
	o.running = start(t, append(change, func(c *Options) {
		c.Now, c.Tailnet = o.clock.Now, o.network
		c.TLS = &door.TLS{Listen: free.Addr().String(), URL: o.tls, Certificate: cert, Key: key}
		c.OIDC = &door.OIDC{Issuer: o.provider.URL, ClientID: doortest.ClientID, ClientSecret: doortest.Secret}
		for _, r := range []muster.Role{muster.RoleViewer, muster.RoleOperator, muster.RoleCISO, "county:17031", "county:17089"} {
			c.OIDC.Grants = append(c.OIDC.Grants, door.Grant{Claim: "groups", Value: "muster " + string(r), Role: r})
		}
	})...)
	return o
}

// caller is how someone asks.
type caller struct {
	name, base string
	column     int // of the expectations, counted from the way's first
	client     *http.Client
	header     string
	peer       muster.Peer // in the tailnet
	err        error       // that the tailnet has instead
}

// signIn is a browser with a session of the provider.
func (o *grounds) signIn(roles ...muster.Role) *http.Client {
	o.Helper()
	groups := []string{"staff"}
	for _, r := range roles {
		groups = append(groups, "muster "+string(r))
	}
	o.provider.Vouch(map[string]any{"groups": groups, "email": "someone@example.gov"}, nil)
	jar, err := cookiejar.New(nil)
	must(o.T, err)
	c := &http.Client{Jar: jar, Transport: o.trust}
	if code, _, body := get(o.T, c, o.tls+"/login", ""); code != http.StatusOK {
		o.Fatalf("sign in: %d %s", code, body)
	}
	return c
}

// entered is a browser with a session of a link.
func (o *grounds) entered() *http.Client {
	o.Helper()
	path, err := o.door.Link(o.Context())
	must(o.T, err)
	jar, err := cookiejar.New(nil)
	must(o.T, err)
	c := &http.Client{Jar: jar}
	if code, _, body := get(o.T, c, o.base+path, ""); code != http.StatusOK {
		o.Fatalf("login: %d %s", code, body)
	}
	return c
}

// sessionOf is the secret of the session that a browser has.
func sessionOf(t *testing.T, c *http.Client, base string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, base, nil)
	must(t, err)
	return c.Jar.Cookies(req.URL)[0].Value
}

// the columns of a way in.
const (
	colRoleless = 1 // in the tailnet and with TLS
	colViewer   = 2
)

// people with a role, in the order of the columns.
var people = []struct {
	name  string
	roles []muster.Role
}{
	{"viewer", []muster.Role{muster.RoleViewer}}, {"operator", []muster.Role{muster.RoleOperator}}, {"ciso", []muster.Role{muster.RoleCISO}},
	{"county 17031", []muster.Role{"county:17031"}}, {"county 17089", []muster.Role{"county:17089"}},
	{"both counties", []muster.Role{"county:17031", "county:17089"}},
}

// callers are everyone, in each way in.
func (o *grounds) callers() [3][]caller {
	t := o.T
	token := "Authorization: Bearer " + apiToken(t, o.running)
	var loopback, tailnet, withTLS []caller

	idle, idleTLS := o.entered(), o.signIn(muster.RoleCISO)
	o.clock.add(door.DefaultIdle + time.Second)
	link, ciso := o.entered(), o.signIn(muster.RoleCISO)
	end := func(enter func() *http.Client, base, cookie string) string {
		c := enter()
		value := sessionOf(t, c, base)
		if resp, err := c.Post(base+"/logout", "", nil); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("log out: %v %v", resp, err)
		}
		return "Cookie: " + cookie + "=" + value
	}
	const local, far = "muster_session", "__Host-muster_session"
	plain, trusting := &http.Client{}, &http.Client{Transport: o.trust}
	loopback = []caller{
		{name: "nobody", client: plain},
		{name: "host token", client: plain, header: "Authorization: Bearer " + o.keys.hostToken},
		{name: "idle session", client: idle},
		{name: "ended session", client: plain, header: end(o.entered, o.base, local)},
		{name: "session of TLS", client: plain, header: "Cookie: " + local + "=" + sessionOf(t, ciso, o.tls)},
		{name: "invented session", client: plain, header: "Cookie: " + local + "=AAAAAAAAAAAAAAAAAAAAAAAAAA"},
		{name: "invented login", client: plain, header: "Tailscale-User-Login: ciso@example.gov"},
		{name: "token", column: 1, client: plain, header: token},
		{name: "link", column: 2, client: link},
	}
	tailnet = []caller{
		{name: "unknown", err: errors.New("nobody is known there"), peer: muster.Peer{Local: true, Roles: []muster.Role{muster.RoleCISO}}},
		{name: "host node", column: colRoleless, peer: muster.Peer{Node: "n1", Name: "pc1"}},
		{name: "tagged host node", column: colRoleless, peer: muster.Peer{Node: "n1", Counties: []muster.County{"17031"}}},
		{name: "login without a grant", column: colRoleless, peer: muster.Peer{Node: "n1", Login: "someone@example.gov"}},
		{name: "roles that are none", column: colRoleless, peer: muster.Peer{Node: "n1", Roles: []muster.Role{"admin", "token", "anyone", "hosts", "", "county:", "county:1703"}}},
		{name: "node said to be local", column: colRoleless, peer: muster.Peer{Node: "n1", Local: true}},
		{name: "API token", column: colRoleless, peer: muster.Peer{Node: "n1"}, header: token},
		{name: "session of loopback", column: colRoleless, peer: muster.Peer{Node: "n1"}, header: "Cookie: " + local + "=" + sessionOf(t, link, o.base)},
	}
	withTLS = []caller{
		{name: "nobody", client: trusting},
		{name: "API token", client: trusting, header: token},
		{name: "idle session", client: idleTLS},
		{name: "ended session", client: trusting, header: end(func() *http.Client { return o.signIn(muster.RoleCISO) }, o.tls, far)},
		{name: "session of loopback", client: trusting, header: "Cookie: " + far + "=" + sessionOf(t, link, o.base)},
		{name: "cookie of another name", client: trusting, header: "Cookie: " + local + "=" + sessionOf(t, ciso, o.tls)},
	}
	for i, p := range people {
		tailnet = append(tailnet, caller{name: p.name, column: colViewer + i, peer: muster.Peer{Node: "n2", Login: "someone@example.gov", Roles: p.roles}})
		withTLS = append(withTLS, caller{name: p.name, column: colViewer + i, client: o.signIn(p.roles...)})
	}
	// Someone whose only role is taken away while they are signed in.
	grants := o.OIDC.Grants
	o.OIDC.Grants = append(slices.Clip(grants), door.Grant{Claim: "groups", Value: "muster guests", Role: muster.RoleCISO})
	withTLS = append(withTLS, caller{name: "role taken away", column: colRoleless, client: o.signIn("guests")})
	o.OIDC.Grants = grants
	o.clock.add(time.Minute) // or there are too many sign-ins of one address
	for _, c := range []struct {
		list []caller
		base string
	}{{loopback, o.base}, {tailnet, o.far}, {withTLS, o.tls}} {
		for i := range c.list {
			c.list[i].base, c.list[i].client = c.base, cmp.Or(c.list[i].client, plain)
		}
	}
	return [3][]caller{loopback, tailnet, withTLS}
}

// as asks as the caller; what is answered is not followed.
func (o *grounds) as(c caller, method, path, body string, header ...string) (int, http.Header, string) {
	o.Helper()
	o.network.peer, o.network.err = c.peer, c.err
	req, err := http.NewRequestWithContext(o.Context(), method, c.base+path, strings.NewReader(body))
	must(o.T, err)
	for _, h := range append(header, c.header) {
		if k, v, ok := strings.Cut(h, ": "); ok {
			req.Header.Set(k, v)
		}
	}
	client := *c.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if req.URL.Path == "/logout" || req.URL.Path == "/login" { // they change what the browser has
		client.Jar = nil
	}
	resp, err := client.Do(req)
	must(o.T, err)
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "text/event-stream" { // it does not end soon
		return resp.StatusCode, resp.Header, ""
	}
	b, err := io.ReadAll(resp.Body)
	must(o.T, err)
	return resp.StatusCode, resp.Header, string(b)
}

// expectation is a line of access.txt.
type expectation struct {
	pattern, method, path string
	answers               [3]string
}

func expectations(t *testing.T) []expectation {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "access.txt"))
	must(t, err)
	var list []expectation
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) != 5 && len(f) != 6 {
			t.Fatalf("expectation %q", line)
		}
		e := expectation{pattern: f[0] + " " + f[1], method: f[0], path: f[len(f)-4]}
		if f[1] == "/" || f[1] == "/api/" {
			e.pattern = f[1]
		}
		copy(e.answers[:], f[len(f)-3:])
		if len(e.answers[0]) != 3 || len(e.answers[1]) != 8 || len(e.answers[2]) != 8 {
			t.Fatalf("expectation %q", line)
		}
		list = append(list, e)
	}
	return list
}

// The walk: every route as everyone in every way in.
func TestWalk(t *testing.T) {
	o := openAll(t)
	mine := ship(t, o.running, o.keys.hostToken)
	_, err := o.Publish(t.Context(), release(t, 7, "low"), muster.RingAll, "console")
	must(t, err)
	nobody := muster.NewHostID(nil) // so that a change that is let in changes nothing
	list := expectations(t)

	// The mux, the table and the expectations speak of the same routes.
	served, err := o.handlers(http.NotFoundHandler())
	must(t, err)
	routes, ruled, expected := slices.Sorted(maps.Keys(served)), map[string]bool{"/": true}, map[string]bool{}
	for _, rule := range door.Table() {
		ruled[rule.Pattern] = true
	}
	for _, e := range list {
		expected[e.pattern] = true
	}
	for _, pattern := range append(routes, "/") {
		if !ruled[pattern] || !expected[pattern] {
			t.Errorf("%s is served: in the table %v, in access.txt %v", pattern, ruled[pattern], expected[pattern])
		}
	}
	for pattern := range ruled {
		if pattern != "/" && served[pattern] == nil {
			t.Errorf("%s has a rule and is not served", pattern)
		}
	}

	tried := 0
	for way, callers := range o.callers() {
		for _, e := range list {
			host := mine
			if e.method != http.MethodGet {
				host = nobody
			}
			path := strings.NewReplacer("{host}", string(host), "{county}", "17031", "{control}", "MVS-ENC-01", "{version}", "7", "{seq}", "1", "{ask}", "1", "{$}", "").Replace(e.path)
			if e.method == http.MethodPost {
				path = strings.Replace(path, "/policies/7/", "/policies/8/", 1)
			}
			for _, c := range callers {
				tried++
				code, _, body := o.as(c, e.method, path, "x")
				want := e.answers[way][c.column]
				if want == '+' && !letIn(e.method, code) || want != '+' && code != refusals[want] {
					t.Errorf("%s %s as %s at %s: %d, want %c: %.200s", e.method, path, c.name, c.base, code, want, body)
				}
			}
		}
	}
	t.Logf("%d routes, %d requests of %d kinds of callers", len(routes), tried, 3+8+8)
}

// refusals by the letters of access.txt.
var refusals = map[byte]int{'0': http.StatusBadRequest, '1': http.StatusUnauthorized, '3': http.StatusForbidden, '4': http.StatusNotFound,
	'5': http.StatusServiceUnavailable}

// letIn: a read that is answered; a change that was looked at, whatever came of it.
func letIn(method string, code int) bool {
	if method == http.MethodGet {
		return code == http.StatusOK || code == http.StatusSeeOther
	}
	return code < 500 && !slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusMisdirectedRequest}, code)
}

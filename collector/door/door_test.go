package door

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door/doortest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/sqlite"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// kept is a real store as the door asks it.
type kept struct{ store.Store }

func (k kept) PutTicket(ctx context.Context, kind string, digest muster.Digest, value []byte, until time.Time) error {
	return k.Store.PutTicket(ctx, store.Ticket{Kind: kind, Digest: digest, Value: value, Until: until})
}

func (k kept) Ticket(ctx context.Context, kind string, digest muster.Digest, take bool) ([]byte, time.Time, error) {
	t, err := k.Store.Ticket(ctx, kind, digest, take)
	return t.Value, t.Until, err
}

func (k kept) HostCounty(ctx context.Context, id muster.HostID) (muster.County, error) {
	e, err := k.Enrolled(ctx, id)
	return e.County, err
}

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

// logged is read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *logged) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

// lab is a door with its ways in, before a real store and a real provider.
type lab struct {
	*testing.T
	*Door
	clock    *clock
	store    kept
	provider *doortest.Provider
	tls      *httptest.Server
	loopback *httptest.Server
	logged   *logged
}

func newLab(t *testing.T, change ...func(*Options)) *lab {
	t.Helper()
	l := &lab{T: t, clock: &clock{now: time.Now().Truncate(time.Second)}, logged: &logged{}}
	s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "muster.db"), store.Options{Now: l.clock.Now})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	l.store, l.provider = kept{s}, doortest.New(t, l.clock.Now)
	l.tls = httptest.NewUnstartedServer(nil)
	l.tls.Config.BaseContext = base(ViaTLS)
	o := Options{Store: l.store, Token: "api token", Now: l.clock.Now, Logger: slog.New(slog.NewTextHandler(l.logged, nil)),
		TLS: &TLS{URL: "https://" + l.tls.Listener.Addr().String()},
		OIDC: &OIDC{Issuer: l.provider.URL, ClientID: doortest.ClientID, ClientSecret: doortest.Secret,
			Grants: []Grant{{"groups", "muster-viewers", muster.RoleViewer}, {"email", "chief@state.example", muster.RoleCISO}}}}
	for _, c := range change {
		c(&o)
	}
	l.Door, err = New(o)
	must(t, err)
	l.tls.Config.Handler = l.Wrap(l.handlers())
	l.tls.StartTLS()
	l.loopback = httptest.NewUnstartedServer(l.Wrap(l.handlers()))
	l.loopback.Config.BaseContext = base(ViaLoopback)
	l.loopback.Start()
	t.Cleanup(l.tls.Close)
	t.Cleanup(l.loopback.Close)
	return l
}

// handlers tell who they were asked by.
func (l *lab) handlers() map[string]http.Handler {
	all := l.Handlers()
	for _, pattern := range []string{"GET /{$}", "GET /api/v1/me", "POST /policies/rings", "GET /nobody/thought/of/a/rule"} {
		all[pattern] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewEncoder(w).Encode(Sender(r.Context()))
		})
	}
	return all
}

// browser keeps cookies and trusts the collector's certificate.
func (l *lab) browser() *http.Client {
	l.Helper()
	jar, err := cookiejar.New(nil)
	must(l.T, err)
	return &http.Client{Jar: jar, Transport: l.tls.Client().Transport}
}

// do asks and returns status, header and body.
func (l *lab) do(c *http.Client, method, address string, header ...string) (int, http.Header, string) {
	l.Helper()
	req, err := http.NewRequestWithContext(l.Context(), method, address, nil)
	must(l.T, err)
	for _, h := range header {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	must(l.T, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(l.T, err)
	return resp.StatusCode, resp.Header, string(b)
}

func (l *lab) wants(c *http.Client, what, address string, want int) {
	l.Helper()
	if code, _, body := l.do(c, http.MethodGet, address); code != want {
		l.Errorf("%s: %d, want %d: %s", what, code, want, body)
	}
}

// enters opens a link on loopback.
func (l *lab) enters(c *http.Client) {
	l.Helper()
	path, err := l.Link(l.Context())
	must(l.T, err)
	l.wants(c, "the link", l.loopback.URL+path, http.StatusOK)
	l.wants(c, "the link once more", l.loopback.URL+path, http.StatusUnauthorized)
}

func TestSessionsEnd(t *testing.T) {
	l := newLab(t)
	home := l.loopback.URL + "/"
	for name, end := range map[string]func(*http.Client){
		"unused": func(*http.Client) { l.clock.add(DefaultIdle + time.Second) },
		"only a page that looks by itself": func(c *http.Client) {
			l.clock.add(DefaultIdle - time.Second)
			for _, mode := range []string{"cors", "no-cors", "same-origin"} {
				if code, _, body := l.do(c, http.MethodGet, home, "Sec-Fetch-Mode: "+mode); code != http.StatusOK {
					l.Errorf("%s before its time is over: %d %s", mode, code, body)
				}
			}
			l.clock.add(2 * time.Second)
		},
		"log out": func(c *http.Client) { l.do(c, http.MethodPost, l.loopback.URL+"/logout") },
		"old": func(c *http.Client) {
			for range int(DefaultLife / (50 * time.Minute)) {
				l.clock.add(50 * time.Minute)
				l.wants(c, "a session in use", home, http.StatusOK)
			}
			l.clock.add(25 * time.Minute)
		},
		"another": func(c *http.Client) {
			u, err := url.Parse(home)
			must(t, err)
			before := c.Jar.Cookies(u)
			l.enters(c)
			l.wants(c, "the session after", home, http.StatusOK)
			c.Jar.SetCookies(u, before)
		},
	} {
		c := l.browser()
		l.wants(c, "nobody", home, http.StatusUnauthorized)
		l.enters(c)
		l.wants(c, name+" before", home, http.StatusOK)
		end(c)
		l.wants(c, name, home, http.StatusUnauthorized)
	}
	// A link that waits too long.
	path, err := l.Link(t.Context())
	must(t, err)
	l.clock.add(linkLife + time.Second)
	l.wants(l.browser(), "an old link", l.loopback.URL+path, http.StatusUnauthorized)
}

// What comes late of a session that was ended does not revive it.
func TestEndedSessionsStayEnded(t *testing.T) {
	l := newLab(t)
	c := l.browser()
	l.enters(c)
	u, err := url.Parse(l.loopback.URL)
	must(t, err)
	session := c.Jar.Cookies(u)
	l.clock.add(30 * time.Minute)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				l.do(&http.Client{}, http.MethodGet, l.loopback.URL+"/", "Cookie: "+session[0].String())
			}
		})
	}
	l.do(c, http.MethodPost, l.loopback.URL+"/logout")
	all.Wait()
	if code, _, _ := l.do(&http.Client{}, http.MethodGet, l.loopback.URL+"/", "Cookie: "+session[0].String()); code != http.StatusUnauthorized {
		t.Errorf("an ended session: %d", code)
	}
}

// A session opens the way in that it was made for; another collector before the same
// store knows it, and no secret is in the store.
func TestSessionsAreShared(t *testing.T) {
	l := newLab(t)
	c := l.browser()
	l.enters(c)
	u, err := url.Parse(l.loopback.URL)
	must(t, err)
	cookie := c.Jar.Cookies(u)[0]
	if _, _, body := l.do(l.browser(), http.MethodGet, l.tls.URL+"/", "Cookie: __Host-muster_session="+cookie.Value); !strings.Contains(body, "Sign in") {
		t.Errorf("a session of loopback with TLS: %s", body)
	}
	second, err := New(l.Options)
	must(t, err)
	replica := httptest.NewServer(second.Wrap(l.handlers()))
	defer replica.Close()
	l.wants(c, "another collector", replica.URL+"/", http.StatusOK)
	must(t, l.store.Dump(t.Context(), func(r store.Row) error {
		if strings.Contains(string(mustJSON(t, r)), cookie.Value) {
			t.Errorf("table %s has the secret", r.Table)
		}
		return nil
	}))
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return b
}

// Whoever asks by another name, or for another page, changes nothing.
func TestForeignRequests(t *testing.T) {
	l := newLab(t)
	c := l.browser()
	l.enters(c)
	host := strings.TrimPrefix(l.loopback.URL, "http://")
	for header, want := range map[string]int{
		"Origin: " + l.loopback.URL:                 200,
		"Sec-Fetch-Site: same-origin":               200,
		"X-Nothing: said":                           200, // no browser: one says one or the other
		"Origin: http://127.0.0.1:1":                403, // another port
		"Origin: https://" + host + ".evil.example": 403,
		"Origin: null":                              403,
		"Sec-Fetch-Site: cross-site":                403,
		"Sec-Fetch-Site: same-site":                 403,
		"Sec-Fetch-Site: junk":                      403,
	} {
		if code, _, body := l.do(c, http.MethodPost, l.loopback.URL+"/policies/rings", header); code != want {
			t.Errorf("%s: %d %s", header, code, body)
		}
		if code, _, _ := l.do(c, http.MethodPost, l.loopback.URL+"/logout", header); want != 200 && code != want {
			t.Errorf("log out with %s: %d", header, code)
		}
		if want == 200 {
			l.enters(c)
		}
	}
	names := map[string]bool{"localhost": true, "[::1]:80": true, "127.0.0.1:9": true, "attacker.example": false,
		"localhost.attacker.example:80": false, "192.0.2.1": false, "127.0.0.1.attacker.example": false}
	for name, ours := range names {
		for _, base := range []string{l.loopback.URL, l.tls.URL} {
			req, err := http.NewRequest(http.MethodGet, base+"/", nil)
			must(t, err)
			req.Host = name
			resp, err := c.Do(req)
			must(t, err)
			resp.Body.Close()
			want := ours && (base == l.loopback.URL || name == "127.0.0.1:9") // the URL has one name
			if want == (resp.StatusCode == http.StatusMisdirectedRequest) {
				t.Errorf("%q at %s: %s", name, base, resp.Status)
			}
		}
	}
}

// Only the token itself is the token.
func TestToken(t *testing.T) {
	l := newLab(t)
	for header, want := range map[string]int{"Bearer api token": 200, "bearer api token": 401, "Bearer api toke": 401, "Bearer api token ": 200,
		"Bearer ": 401, "Bearer": 401, "Basic api token": 401, "api token": 401} {
		if code, _, _ := l.do(l.browser(), http.MethodGet, l.loopback.URL+"/", "Authorization: "+header); code != want {
			t.Errorf("%q on loopback: %d", header, code)
		}
		if code, _, _ := l.do(l.browser(), http.MethodGet, l.tls.URL+"/", "Authorization: "+header); code != http.StatusUnauthorized {
			t.Errorf("%q with TLS: %d", header, code)
		}
	}
	l.Token = ""
	l.token = sha256.Sum256(nil)
	if code, _, _ := l.do(l.browser(), http.MethodGet, l.loopback.URL+"/", "Authorization: Bearer "); code != http.StatusUnauthorized {
		t.Errorf("no token where there is none: %d", code)
	}
}

// FuzzCountyQuery: whatever a person of one county asks for, the handler reads that
// county and no other, or is not asked.
func FuzzCountyQuery(f *testing.F) {
	for _, q := range []string{"", "county=17031", "county=17089", "county=17031&county=17089", "county=17031;county=17089", "%63ounty=17089",
		"county=17031%00", "COUNTY=17089", "host=x", "host=h" + strings.Repeat("a", 26), "a=%zz&county=17089", "&&=&county"} {
		f.Add(q)
	}
	d := &Door{Options: Options{Store: nowhere{}, Logger: slog.New(slog.DiscardHandler)}}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/api/v1/hosts", RawQuery: query}, Header: http.Header{}}
		d.county(httptest.NewRecorder(), r.WithContext(t.Context()), Rule{County: ByQuery}, []muster.County{"17031"},
			http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				q, err := url.ParseQuery(r.URL.RawQuery)
				if err != nil || len(q["county"]) != 1 || q.Get("county") != "17031" || q.Has("host") {
					t.Errorf("%q is read as %q, %v", query, r.URL.RawQuery, err)
				}
			}))
	})
}

// nowhere is a store in which no host is.
type nowhere struct{ kept }

func (nowhere) HostCounty(context.Context, muster.HostID) (muster.County, error) {
	return "", fs.ErrNotExist
}

// A handler without a rule is denied to everyone, and every answer has the headers.
func TestNoRule(t *testing.T) {
	l := newLab(t)
	c := l.browser()
	l.enters(c)
	l.wants(c, "no rule", l.loopback.URL+"/nobody/thought/of/a/rule", http.StatusNotFound)
	l.wants(c, "no handler", l.loopback.URL+"/nothing", http.StatusNotFound)
	l.wants(l.browser(), "no rule for nobody", l.loopback.URL+"/nobody/thought/of/a/rule", http.StatusUnauthorized)
	if !strings.Contains(l.logged.String(), "route without a rule denied") {
		t.Error("it is not logged")
	}
	for _, address := range []string{l.loopback.URL + "/", l.tls.URL + "/", l.tls.URL + "/login", l.loopback.URL + "/api/v1/me", l.tls.URL + "/v1/policy"} {
		_, h, _ := l.do(c, http.MethodGet, address)
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", address, h)
		}
	}
}

// An audit log that cannot be written lets nobody in or out.
func TestNotLoggedNotDone(t *testing.T) {
	l := newLab(t)
	in, out := l.browser(), l.browser()
	l.enters(in)
	path, err := l.Link(t.Context())
	must(t, err)
	l.Door.Store = unlogged{l.store}
	l.wants(out, "in", l.loopback.URL+path, http.StatusServiceUnavailable)
	l.wants(out, "in", l.loopback.URL+"/", http.StatusUnauthorized)
	if code, _, _ := l.do(in, http.MethodPost, l.loopback.URL+"/logout"); code != http.StatusServiceUnavailable {
		t.Errorf("out: %d", code)
	}
	l.wants(in, "out", l.loopback.URL+"/", http.StatusOK)
	if code, _, _ := l.do(in, http.MethodPost, l.loopback.URL+"/api/v1/links", "Authorization: Bearer api token"); code != http.StatusServiceUnavailable {
		t.Errorf("another link: %d", code)
	}
}

// unlogged is a store whose audit log is full.
type unlogged struct{ kept }

func (unlogged) Log(context.Context, muster.LogEntry) error { return muster.ErrFull }

func base(w Way) func(net.Listener) context.Context {
	return func(net.Listener) context.Context { return w.Context(context.Background()) }
}

// One who has a whole network of addresses signs in no more often than one who has one.
func TestAttemptsOfANetwork(t *testing.T) {
	a, now := newAttempts(), time.Now()
	allowed := 0
	for i := range 5 * attemptsBurst {
		if a.allow(fmt.Sprintf("[2001:db8::%x]:1", i+1), now) {
			allowed++
		}
	}
	if allowed != attemptsBurst || !a.allow("[2001:db8:0:1::1]:1", now) || !a.allow("192.0.2.1:1", now) {
		t.Errorf("%d are let in", allowed)
	}
}

// Programs are told as a problem that they look like a page of another origin.
func TestCrossOriginProblem(t *testing.T) {
	l := newLab(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.loopback.URL+"/api/v1/links", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer api token")
	req.Header.Set("Origin", "null")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Error(resp.Status, resp.Header)
	}
}

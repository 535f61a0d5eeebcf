package door

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door/doortest"
)

// signIn goes to the provider and back, and answers what the collector says then.
func (l *lab) signIn(c *http.Client) (int, http.Header, string) {
	l.Helper()
	return l.do(c, http.MethodGet, l.tls.URL+"/login")
}

// way to the provider and back, not walked to its end: the callback's address.
func (l *lab) callback(c *http.Client) string {
	l.Helper()
	stop := *c
	stop.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/login/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	_, h, body := l.do(&stop, http.MethodGet, l.tls.URL+"/login")
	if h.Get("Location") == "" {
		l.Fatalf("no callback: %s", body)
	}
	return h.Get("Location")
}

func (l *lab) in(c *http.Client) bool {
	l.Helper()
	code, _, _ := l.do(c, http.MethodGet, l.tls.URL+"/")
	return code == http.StatusOK
}

func TestSignIn(t *testing.T) {
	l := newLab(t)
	c := l.browser()
	code, _, body := l.do(c, http.MethodGet, l.tls.URL+"/?as_of=2026-11-03&known=now")
	if code != http.StatusUnauthorized || !strings.Contains(body, `href="/login?to=%2F%3Fas_of%3D2026-11-03%26known%3Dnow"`) {
		t.Fatalf("%d %s", code, body)
	}
	code, h, body := l.do(c, http.MethodGet, l.tls.URL+"/login?to=%2F%3Fas_of%3D2026-11-03%26known%3Dnow")
	if code != http.StatusOK || h.Get("Refresh") != "0; url=/?as_of=2026-11-03&known=now" {
		t.Fatalf("%d %v %s", code, h, body)
	}
	var session string
	for _, line := range h["Set-Cookie"] {
		if strings.HasPrefix(line, "__Host-muster_session=") {
			session = line
		}
	}
	for _, want := range []string{"Path=/", "Max-Age=43200", "HttpOnly", "Secure", "SameSite=Strict"} {
		if !strings.Contains(session, want) || strings.Contains(session, "Domain") {
			t.Errorf("no %s in the cookie %q", want, session)
		}
	}
	_, _, body = l.do(c, http.MethodGet, l.tls.URL+"/")
	var p muster.Peer
	must(t, json.Unmarshal([]byte(body), &p))
	if p.Login != "vera@state.example" || !slices.Equal(p.Roles, []muster.Role{muster.RoleViewer}) || p.Local {
		t.Errorf("%+v", p)
	}
	if code, _, _ := l.do(c, http.MethodPost, l.tls.URL+"/policies/rings", "Origin: "+l.tls.URL); code != http.StatusForbidden {
		t.Errorf("a viewer changes rings: %d", code)
	}
	if before := l.provider.Tokens(); l.signInCode(c) != http.StatusOK || l.provider.Tokens() != before {
		t.Error("who is signed in is asked again")
	}
	if code, _, _ := l.do(c, http.MethodPost, l.tls.URL+"/logout"); code != http.StatusOK || l.in(c) {
		t.Errorf("log out: %d", code)
	}
	log, err := l.store.AuditLog(t.Context(), 0, 9)
	must(t, err)
	if len(log) != 2 || log[0].Action != "logout" || log[1].Action != "login" || log[1].Actor != "vera@state.example" {
		t.Errorf("audit log: %+v", log)
	}
}

func (l *lab) signInCode(c *http.Client) int { code, _, _ := l.signIn(c); return code }

// A token that anything is wrong with opens nothing.
func TestForgedTokens(t *testing.T) {
	l := newLab(t)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	public, err := x509.MarshalPKIXPublicKey(l.provider.Key.Public())
	must(t, err)
	none := func(_ *testing.T, payload []byte) string {
		enc := base64.RawURLEncoding.EncodeToString
		return enc([]byte(`{"alg":"none"}`)) + "." + enc(payload) + "."
	}
	now := l.clock.Now()
	for name, f := range map[string]struct {
		claims map[string]any
		sign   func(*testing.T, []byte) string
		in     bool
	}{
		"the usual":                  {in: true},
		"a clock a minute behind":    {claims: map[string]any{"exp": now.Add(-time.Minute).Unix()}, in: true},
		"a clock a minute ahead":     {claims: map[string]any{"nbf": now.Add(time.Minute).Unix()}, in: true},
		"two for whom, issued to us": {claims: map[string]any{"aud": []string{doortest.ClientID, "other"}, "azp": doortest.ClientID}, in: true},
		"another key":                {sign: func(t *testing.T, b []byte) string { return doortest.Sign(t, jose.RS256, other, "k1", b) }},
		"another key's id":           {sign: func(t *testing.T, b []byte) string { return doortest.Sign(t, jose.RS256, other, "k2", b) }},
		"no signature":               {sign: none},
		"the public key as secret":   {sign: func(t *testing.T, b []byte) string { return doortest.Sign(t, jose.HS256, public, "k1", b) }},
		"junk":                       {sign: func(*testing.T, []byte) string { return "junk" }},
		"nothing":                    {sign: func(*testing.T, []byte) string { return "" }},
		"expired":                    {claims: map[string]any{"exp": now.Add(-skew - time.Minute).Unix()}},
		"without an end":             {claims: map[string]any{"exp": nil}},
		"of tomorrow":                {claims: map[string]any{"nbf": now.Add(24 * time.Hour).Unix()}},
		"another issuer":             {claims: map[string]any{"iss": "https://login.example.org"}},
		"for another program":        {claims: map[string]any{"aud": "other"}},
		"for nobody":                 {claims: map[string]any{"aud": nil}},
		"issued to another":          {claims: map[string]any{"aud": []string{doortest.ClientID, "other"}, "azp": "other"}},
		"issued to nobody said":      {claims: map[string]any{"aud": []string{doortest.ClientID, "other"}}},
		"of another sign-in":         {claims: map[string]any{"nonce": "x"}},
		"of no sign-in":              {claims: map[string]any{"nonce": nil}},
		"no role":                    {claims: map[string]any{"groups": []string{"staff"}}},
		"a role as text":             {claims: map[string]any{"groups": "muster-viewers"}, in: true},
		"no list of texts":           {claims: map[string]any{"groups": []any{7, nil, map[string]any{"muster-viewers": true}}}},
		"verified":                   {claims: map[string]any{"groups": nil, "email": "Chief@State.example"}, in: true},
		"not verified":               {claims: map[string]any{"groups": nil, "email": "chief@state.example", "email_verified": false}},
		"not said to be verified":    {claims: map[string]any{"groups": nil, "email": "chief@state.example", "email_verified": nil}},
		"an address as group":        {claims: map[string]any{"groups": []string{"chief@state.example"}}},
	} {
		l.provider.Vouch(f.claims, f.sign)
		c := l.browser()
		code, h, body := l.signIn(c)
		if in := l.in(c); in != f.in || (code == http.StatusOK) != f.in {
			t.Errorf("%s: in %v, %d %s", name, in, code, body)
		}
		if !f.in && (code != http.StatusForbidden || slices.ContainsFunc(h["Set-Cookie"], func(s string) bool { return strings.Contains(s, "session") })) {
			t.Errorf("%s: %d %v", name, code, h)
		}
		l.attempts = newAttempts() // there are many of one address
	}
}

// Each sign-in ends once, in the browser that began it.
func TestReplayedSignIns(t *testing.T) {
	l := newLab(t)
	c := l.browser()
	address := l.callback(c)
	l.wants(l.browser(), "another browser", address, http.StatusBadRequest)
	l.wants(c, "after another browser took it", address, http.StatusBadRequest)

	address = l.callback(c)
	l.wants(c, "the usual", address, http.StatusOK)
	if !l.in(c) {
		t.Error("not in")
	}
	again := l.browser()
	l.wants(again, "the same once more", address, http.StatusBadRequest)

	// The code of one sign-in with the state of another.
	used, err := url.Parse(address)
	must(t, err)
	fresh, err := url.Parse(l.callback(again))
	must(t, err)
	q := fresh.Query()
	q.Set("code", used.Query().Get("code"))
	fresh.RawQuery = q.Encode()
	l.wants(again, "a used code", fresh.String(), http.StatusForbidden)

	// A code that someone else got, put into a victim's browser.
	theirs, err := url.Parse(l.callback(l.browser()))
	must(t, err)
	mine, err := url.Parse(l.callback(again))
	must(t, err)
	q = mine.Query()
	q.Set("code", theirs.Query().Get("code"))
	mine.RawQuery = q.Encode()
	l.wants(again, "another's code", mine.String(), http.StatusForbidden)

	late := l.callback(again)
	l.clock.add(attemptLife + time.Second)
	l.wants(again, "too late", late, http.StatusBadRequest)
	for _, junk := range []string{"", "?state=x&code=y", "?error=access_denied"} {
		l.wants(again, junk, l.tls.URL+"/login/callback"+junk, http.StatusBadRequest)
	}
	refused, err := url.Parse(l.callback(again))
	must(t, err)
	refused.RawQuery = url.Values{"state": {refused.Query().Get("state")}, "error": {"access_denied"}}.Encode()
	l.wants(again, "refused by the provider", refused.String(), http.StatusForbidden)
	if l.in(again) {
		t.Error("in all the same")
	}
	l.wants(l.browser(), "on loopback", l.loopback.URL+"/login/callback?state=x", http.StatusNotFound)
}

// The collector keeps its sessions while the provider is away.
func TestProviderAway(t *testing.T) {
	l := newLab(t)
	in, out := l.browser(), l.browser()
	address := l.callback(out)
	if l.signInCode(in) != http.StatusOK {
		t.Error("not in")
	}
	l.provider.Close()
	if !l.in(in) {
		t.Error("a session ends with the provider")
	}
	l.wants(out, "a sign-in under way", address, http.StatusForbidden)
}

// It also starts without it.
func TestProviderAwayAtStart(t *testing.T) {
	away := true
	l := newLab(t)
	handler := l.provider.Config.Handler
	l.provider.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away {
			http.Error(w, "not now", http.StatusBadGateway)
			return
		}
		handler.ServeHTTP(w, r)
	})
	c := l.browser()
	for range 2 {
		if code := l.signInCode(c); code != http.StatusServiceUnavailable {
			t.Errorf("away: %d", code)
		}
	}
	if err := l.OIDC.Discover(t.Context()); err == nil {
		t.Error("it is said to answer")
	}
	away = false
	l.clock.add(retryDiscovery + time.Second)
	if code := l.signInCode(c); code != http.StatusOK || !l.in(c) {
		t.Errorf("back: %d", code)
	}
}

// Roles are those of the configuration now, not of when someone signed in.
func TestRolesAreLookedUpAgain(t *testing.T) {
	l := newLab(t)
	c := l.browser()
	l.signIn(c)
	if !l.in(c) {
		t.Fatal("not in")
	}
	grants := l.OIDC.Grants
	l.OIDC.Grants = []Grant{{"groups", "muster-others", muster.RoleViewer}}
	if code, _, _ := l.do(c, http.MethodGet, l.tls.URL+"/"); code != http.StatusForbidden {
		t.Errorf("without the role: %d", code)
	}
	l.OIDC.Grants, l.OIDC.Issuer = grants, "https://login.example.org"
	if l.in(c) {
		t.Error("a session of another provider")
	}
}

func TestManySignInsOfOneAddress(t *testing.T) {
	l := newLab(t)
	stop := &http.Client{Transport: l.tls.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	codes := map[int]int{}
	for range 2 * attemptsBurst {
		codes[l.signInCode(stop)]++
	}
	if codes[http.StatusSeeOther] != attemptsBurst || codes[http.StatusTooManyRequests] != attemptsBurst {
		t.Errorf("%v", codes)
	}
	l.clock.add(attemptsEvery)
	if code := l.signInCode(stop); code != http.StatusSeeOther {
		t.Errorf("later: %d", code)
	}
}

func TestOptions(t *testing.T) {
	grants := []Grant{{"groups", "g", muster.RoleViewer}}
	for want, o := range map[string]OIDC{
		"must be https":         {Issuer: "http://login.example.gov", ClientID: "x", Grants: grants},
		"is not an address":     {Issuer: "login.example.gov", ClientID: "x", Grants: grants},
		"client id":             {Issuer: "https://login.example.gov", Grants: grants},
		"nobody is given":       {Issuer: "https://login.example.gov", ClientID: "x"},
		`role "emperor"`:        {Issuer: "https://login.example.gov", ClientID: "x", Grants: []Grant{{"groups", "g", "emperor"}}},
		`role "county:1703"`:    {Issuer: "https://login.example.gov", ClientID: "x", Grants: []Grant{{"groups", "g", "county:1703"}}},
		`claim ""`:              {Issuer: "https://login.example.gov", ClientID: "x", Grants: []Grant{{"", "g", "viewer"}}},
		"localhost.example.gov": {Issuer: "http://localhost.example.gov", ClientID: "x", Grants: grants},
	} {
		_, err := New(Options{Store: kept{}, TLS: &TLS{URL: "https://muster.example.gov"}, OIDC: &o})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	good := &OIDC{Issuer: "https://login.example.gov", ClientID: "x", Grants: grants}
	for _, address := range []string{"", "http://muster.example.gov", "https://", "https://muster.example.gov/x", "muster.example.gov"} {
		if _, err := New(Options{Store: kept{}, TLS: &TLS{URL: address}, OIDC: good}); err == nil {
			t.Errorf("%q is a TLS url", address)
		}
	}
	if _, err := New(Options{Store: kept{}, TLS: &TLS{URL: "https://muster.example.gov"}}); err == nil {
		t.Error("TLS without people")
	}
	if _, err := New(Options{Store: kept{}, Idle: 2 * time.Hour, Life: time.Hour}); err == nil {
		t.Error("sessions that wait longer than they last")
	}
}

// A certificate that is renewed is used at once; one that cannot be read is not.
func TestCertificate(t *testing.T) {
	dir := t.TempDir()
	o := &TLS{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	log := slog.New(slog.DiscardHandler)
	if _, err := o.Config(log); err == nil {
		t.Fatal("no files, no error")
	}
	write := func(name string, at time.Time) {
		doortest.Certificate(t, name, o.Certificate, o.Key)
		must(t, os.Chtimes(o.Certificate, at, at))
	}
	write("first", time.Now())
	config, err := o.Config(log)
	must(t, err)
	name := func() string {
		t.Helper()
		pair, err := config.GetCertificate(nil)
		must(t, err)
		c, err := x509.ParseCertificate(pair.Certificate[0])
		must(t, err)
		return c.Subject.CommonName
	}
	if got := name(); got != "first" {
		t.Error(got)
	}
	write("second", time.Now().Add(time.Hour))
	if got := name(); got != "second" {
		t.Error(got)
	}
	must(t, os.WriteFile(o.Key, []byte("junk"), 0o600))
	for range 2 {
		if got := name(); got != "second" {
			t.Error(got)
		}
	}
	must(t, os.Remove(o.Certificate))
	if got := name(); got != "second" {
		t.Error(got)
	}
	write("third", time.Now().Add(2*time.Hour))
	if got := name(); got != "third" {
		t.Error(got)
	}
}

// FuzzLocal: whatever a link asks for, a browser stays on this site, and comes into no
// circle.
func FuzzLocal(f *testing.F) {
	for _, s := range []string{"/", "/hosts/x?as_of=1#y", "//evil.example", "/\\evil.example", "https://evil.example/", "/login", "javascript:x", "/%2f/x", "/a\r\nb", "/./login", "/;url=x", "/%2C "} {
		f.Add(s)
	}
	site, err := url.Parse("https://muster.example.gov/login/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to := local(s)
		u, err := site.Parse(to)
		if err != nil || u.Host != site.Host || u.Scheme != "https" || !strings.HasPrefix(to, "/") || strings.ContainsAny(to, "\\\r\n \"'<>;,") {
			t.Errorf("%q leads to %q", s, to)
		}
	})
}

// FuzzClaims: whatever a provider says, nobody has a role that no grant gives for a
// value that is there.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"groups":["a","b"],"email":"A@b.example","email_verified":true}`))
	f.Add([]byte(`{"groups":{"a":1},"email":["a@b.example"],"email_verified":"true"}`))
	o := OIDC{Grants: []Grant{{"groups", "a", muster.RoleViewer}, {"email", "A@b.example", muster.RoleCISO}, {"groups", "b", "county:17031"}}}
	f.Fuzz(func(t *testing.T, data []byte) {
		var claims map[string]any
		if json.Unmarshal(data, &claims) != nil {
			return
		}
		roles := o.roles(o.values(claims))
		if slices.Contains(roles, muster.RoleCISO) && claims["email_verified"] != true && claims["email_verified"] != "true" {
			t.Errorf("an address that nobody verified: %s", data)
		}
		if len(roles) > 0 && claims["groups"] == nil && claims["email"] == nil {
			t.Errorf("%q for %s", roles, data)
		}
	})
}

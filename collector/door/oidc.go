package door

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/passmuster/muster"
)

// OIDC is an OpenID Connect provider that tells who people are, by the authorization
// code flow with PKCE.
type OIDC struct {
	// Issuer is its address; https, except on this computer.
	Issuer string
	// ClientID and ClientSecret as it knows this collector; a public client has no secret.
	ClientID, ClientSecret string
	// Scopes to ask for beside openid; nil means profile and email.
	Scopes []string
	// Grants give roles to people by what the provider says of them.
	Grants []Grant
}

// Grant gives a role to whoever has the value in a claim of the ID token.
type Grant struct {
	// Claim such as "groups" or "email". An e-mail address counts only where the
	// provider says that it verified it, and its case does not matter.
	Claim string
	Value string
	Role  muster.Role
}

const (
	// attemptLife is how long a person may take at the provider.
	attemptLife = 10 * time.Minute
	// skew of the provider's clock that is forgiven.
	skew            = 2 * time.Minute
	providerTimeout = 10 * time.Second
	// retryDiscovery is how soon a provider that was away is asked again.
	retryDiscovery = 5 * time.Second
	// maxAnswer bounds an answer of the provider, in bytes.
	maxAnswer = 1 << 20
)

// Check says what is wrong with the configuration.
func (o *OIDC) Check() error {
	if err := safe("oidc issuer", o.Issuer, o.Issuer); err != nil {
		return err
	}
	if o.ClientID == "" {
		return errors.New("oidc: a client id is required: the provider gives it when the collector is registered there")
	}
	if len(o.Grants) == 0 {
		return errors.New("oidc: nobody is given a role: list claim, value and role of at least one")
	}
	for _, g := range o.Grants {
		if _, county := g.Role.County(); g.Claim == "" || g.Value == "" || !county && !slices.Contains(ranks, g.Role) {
			return fmt.Errorf("oidc: claim %q, value %q, role %q: name a claim, its value, and viewer, operator, ciso or county: and five digits", g.Claim, g.Value, g.Role)
		}
	}
	return nil
}

// roles by what the provider said of a person.
func (o *OIDC) roles(claims map[string][]string) []muster.Role {
	var roles []muster.Role
	for _, g := range o.Grants {
		if slices.Contains(claims[g.Claim], canonical(g.Claim, g.Value)) && !slices.Contains(roles, g.Role) {
			roles = append(roles, g.Role)
		}
	}
	return roles
}

func canonical(claim, value string) string {
	if claim == "email" {
		return strings.ToLower(value)
	}
	return value
}

// values of the claims that grants ask for.
func (o *OIDC) values(claims map[string]any) map[string][]string {
	found := map[string][]string{}
	for _, g := range o.Grants {
		if found[g.Claim] != nil || g.Claim == "email" && !verified(claims) {
			continue
		}
		list, ok := claims[g.Claim].([]any)
		if !ok {
			list = []any{claims[g.Claim]}
		}
		for _, v := range list {
			if s, ok := v.(string); ok && s != "" {
				found[g.Claim] = append(found[g.Claim], canonical(g.Claim, s))
			}
		}
	}
	return found
}

// Some providers write the flag as a string.
func verified(claims map[string]any) bool {
	return claims["email_verified"] == true || claims["email_verified"] == "true"
}

// safe refuses an address that others on the way could read or change. Plain HTTP is
// for an issuer on this computer.
func safe(what, address, issuer string) error {
	u, err := url.Parse(address)
	i, err2 := url.Parse(issuer)
	if err != nil || err2 != nil || u.Host == "" || u.User != nil {
		return fmt.Errorf("%s %q is not an address, for example https://login.example.gov", what, address)
	}
	if u.Scheme == "https" || u.Scheme == "http" && i.Scheme == "http" && muster.IsLoopback(u.Hostname()) && muster.IsLoopback(i.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s %q must be https", what, address)
}

// provider is the OIDC provider in use.
type provider struct {
	*OIDC
	redirect string
	now      func() time.Time
	client   *http.Client
	turn     chan struct{} // held while it is asked
	known    *oidc.Provider
	retry    time.Time
	failed   error
}

func newProvider(o *OIDC, site string, now func() time.Time) (*provider, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	p := &provider{OIDC: o, redirect: strings.TrimSuffix(site, "/") + "/login/callback", now: now, turn: make(chan struct{}, 1)}
	p.client = &http.Client{Timeout: providerTimeout, Transport: bounded{http.DefaultTransport}, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 {
			return errors.New("too many redirects")
		}
		return safe("redirect", r.URL.String(), o.Issuer)
	}}
	return p, nil
}

// bounded reads no answer without end.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	}
	return resp, err
}

// discover asks the provider for its addresses, once it answers. The collector needs
// it for new sessions only, so one that is away stops nothing else.
func (p *provider) discover(ctx context.Context) (*oidc.Provider, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.known != nil {
		return p.known, nil
	}
	if p.now().Before(p.retry) {
		return nil, p.failed
	}
	// Who asks may leave; the next ones want the answer too.
	known, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.Issuer)
	if err == nil {
		var keys struct {
			URL string `json:"jwks_uri"`
		}
		err = known.Claims(&keys)
		for _, address := range []string{known.Endpoint().AuthURL, known.Endpoint().TokenURL, keys.URL} {
			err = errors.Join(err, safe("an address of the oidc provider", address, p.Issuer))
		}
	}
	if err != nil {
		p.failed, p.retry = fmt.Errorf("discover the oidc provider: %w", err), p.now().Add(retryDiscovery)
		return nil, p.failed
	}
	p.known = known
	return known, nil
}

// Discover reports whether the provider of the configuration answers.
func (o *OIDC) Discover(ctx context.Context) error {
	p, err := newProvider(o, "", time.Now)
	if err == nil {
		_, err = p.discover(ctx)
	}
	return err
}

func (p *provider) config(known *oidc.Provider) *oauth2.Config {
	scopes := p.Scopes
	if scopes == nil {
		scopes = []string{"profile", "email"}
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: known.Endpoint(),
		RedirectURL: p.redirect, Scopes: append([]string{oidc.ScopeOpenID}, scopes...)}
}

// attempt is a sign-in under way.
type attempt struct {
	Nonce    string        `json:"nonce"`
	Verifier string        `json:"verifier"`
	Browser  muster.Digest `json:"browser"` // of the secret in the browser that began
	To       string        `json:"to"`
}

// begin sends a browser to the provider.
func (d *Door) begin(w http.ResponseWriter, r *http.Request) {
	to := local(r.URL.Query().Get("to"))
	if s, err := d.session(r); err == nil && s != nil && s.Issuer == d.OIDC.Issuer {
		d.welcome(w, r, to)
		return
	}
	if !d.attempts.allow(r.RemoteAddr, d.Now()) {
		d.refuse(w, r, http.StatusTooManyRequests, "busy", "too many began at this address: wait a minute")
		return
	}
	known, err := d.provider.discover(r.Context())
	if err != nil {
		d.away(w, r, err)
		return
	}
	state, browser := rand.Text(), rand.Text()
	a := attempt{Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Browser: digest(browser), To: to}
	value, err := json.Marshal(a)
	if err == nil {
		err = d.Store.PutTicket(r.Context(), ticketAttempt, digest(state), value, d.Now().Add(attemptLife))
	}
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	setCookie(w, r, "attempt", browser, attemptLife, http.SameSiteLaxMode) // comes back from the provider's page
	http.Redirect(w, r, d.provider.config(known).AuthCodeURL(state, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), http.StatusSeeOther)
}

// callback takes a browser that the provider sent back.
func (d *Door) callback(w http.ResponseWriter, r *http.Request) {
	if WayOf(r.Context()) != ViaTLS {
		d.missing(w, r)
		return
	}
	ctx, q := r.Context(), r.URL.Query()
	value, _, err := d.Store.Ticket(ctx, ticketAttempt, digest(q.Get("state")), true)
	var a attempt
	if err == nil {
		err = json.Unmarshal(value, &a)
	}
	browser := secretOf(r, "attempt")
	setCookie(w, r, "attempt", "", 0, http.SameSiteLaxMode)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.refuse(w, r, http.StatusBadRequest, "bad_state", "this sign-in was finished already, or took too long: begin anew")
		return
	case err != nil:
		d.unavailable(w, r, err)
		return
	case digest(browser) != a.Browser:
		d.refuse(w, r, http.StatusBadRequest, "bad_state", "this sign-in was begun in another browser: begin anew")
		return
	}
	known, err := d.provider.discover(ctx)
	if err != nil {
		d.away(w, r, err)
		return
	}
	s, err := d.provider.exchange(ctx, known, a, q)
	if err != nil {
		d.Logger.Warn("sign-in refused", "from", r.RemoteAddr, "error", err)
		d.refuse(w, r, http.StatusForbidden, "sign_in_refused", "the sign-in service does not vouch for you: the collector's log says why")
		return
	}
	if len(d.OIDC.roles(s.Claims)) == 0 {
		d.Logger.Warn("sign-in without a role", "login", s.Login, "from", r.RemoteAddr)
		d.refuse(w, r, http.StatusForbidden, "role_needed", "nobody gave a role to "+s.Login+": whoever runs the collector can, in oidc.grants")
		return
	}
	if err := d.enter(w, r, *s, s.Login); err != nil {
		d.unavailable(w, r, err)
		return
	}
	d.welcome(w, r, a.To)
}

// exchange has the provider say whose code it is, and believes only what it signed for
// this attempt.
func (p *provider) exchange(ctx context.Context, known *oidc.Provider, a attempt, q url.Values) (*session, error) {
	if e := q.Get("error"); e != "" {
		return nil, fmt.Errorf("the provider says %.200q", e)
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := p.config(known).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, fmt.Errorf("exchange the code: %w", err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := known.Verifier(&oidc.Config{ClientID: p.ClientID, Now: func() time.Time { return p.now().Add(-skew) }}).Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return nil, err
	}
	if id.Nonce != a.Nonce {
		return nil, errors.New("the ID token was made for another sign-in")
	}
	if azp, ok := claims["azp"]; (ok || len(id.Audience) > 1) && azp != p.ClientID {
		return nil, errors.New("the ID token was made for another program")
	}
	s := &session{Issuer: p.Issuer, Login: "subject " + id.Subject, Claims: p.values(claims)}
	if email, _ := claims["email"].(string); email != "" && verified(claims) {
		s.Login = canonical("email", email)
	}
	return s, nil
}

func (d *Door) away(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	d.Logger.Error("sign-in service does not answer", "issuer", d.OIDC.Issuer, "error", err)
	d.refuse(w, r, http.StatusServiceUnavailable, "unavailable", "the sign-in service does not answer: try again in a minute")
}

// local keeps only an address of this site; any other is the overview.
func local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.HasPrefix(u.Path, "/login") {
		return "/"
	}
	if to = u.RequestURI(); !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\"'<>;, ") {
		return "/"
	}
	return to
}

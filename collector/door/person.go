package door

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// Kinds of tickets.
const (
	ticketLink    = "link"    // opens a session on loopback once
	ticketSession = "session" // until its end, whatever happens
	ticketIdle    = "idle"    // of the same digest: until nothing came for too long
	ticketAttempt = "oidc"    // a sign-in that the provider has not sent back yet
)

// linkLife is how long a link waits.
const linkLife = time.Hour

// session is what is kept of who is signed in. Roles are not: they are looked up with
// every request.
type session struct {
	Way Way `json:"way"`
	// Of a provider: who it is there, and the values that Grants ask for.
	Issuer string              `json:"issuer,omitempty"`
	Login  string              `json:"login,omitempty"`
	Claims map[string][]string `json:"claims,omitempty"`
}

// person tells which person or script sent a request; the zero Peer is nobody. An
// error says that the store does not answer.
func (d *Door) person(r *http.Request) (muster.Peer, error) {
	way := WayOf(r.Context())
	switch {
	case way == ViaTailnet:
		p, err := d.Tailnet.WhoIs(r.Context(), r.RemoteAddr)
		if err != nil {
			d.Logger.Warn("nobody is known at an address of the tailnet", "from", r.RemoteAddr, "error", err)
			return muster.Peer{}, nil
		}
		p.Local = false // whatever the tailnet says
		return p, nil
	case d.script(r):
		return muster.Peer{Local: true, Name: "token"}, nil
	}
	s, err := d.session(r)
	switch {
	case err != nil || s == nil || s.Way != way:
		return muster.Peer{}, err
	case way == ViaLoopback:
		return muster.Peer{Local: true, Name: "link"}, nil
	case s.Issuer != d.OIDC.Issuer:
		return muster.Peer{}, nil
	}
	return muster.Peer{Login: s.Login, Roles: d.OIDC.roles(s.Claims)}, nil
}

// script reports whether a program of this computer sent the request.
func (d *Door) script(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(token))
	return ok && d.Token != "" && WayOf(r.Context()) == ViaLoopback && subtle.ConstantTimeCompare(sum[:], d.token[:]) == 1
}

// Secrets are looked up by their digests, so that timing tells nothing.
func digest(secret string) muster.Digest { return sha256.Sum256([]byte(secret)) }

// cookieName on a way; with TLS one that no other host and no plain page can set.
func cookieName(way Way, name string) string {
	if way == ViaTLS {
		return "__Host-muster_" + name
	}
	return "muster_" + name
}

func setCookie(w http.ResponseWriter, r *http.Request, name, value string, life time.Duration, site http.SameSite) {
	way := WayOf(r.Context())
	c := &http.Cookie{Name: cookieName(way, name), Value: value, Path: "/", MaxAge: int(life.Seconds()),
		HttpOnly: true, SameSite: site, Secure: way == ViaTLS}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func secretOf(r *http.Request, name string) string {
	c, err := r.Cookie(cookieName(WayOf(r.Context()), name))
	if err != nil {
		return ""
	}
	return c.Value
}

// session of the request; nil for none.
func (d *Door) session(r *http.Request) (*session, error) {
	secret := secretOf(r, "session")
	if secret == "" {
		return nil, nil
	}
	ctx, key := r.Context(), digest(secret)
	value, _, err := d.Store.Ticket(ctx, ticketSession, key, false)
	var idle time.Time
	if err == nil {
		_, idle, err = d.Store.Ticket(ctx, ticketIdle, key, false)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	var s session
	if err := json.Unmarshal(value, &s); err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	// A ticket of its own, so that what is seen too late revives no session that ended.
	if next := d.Now().Add(d.Idle); next.Sub(idle) > d.Idle/20 && !byItself(r) {
		if err := d.Store.PutTicket(ctx, ticketIdle, key, []byte{}, next); err != nil {
			d.Logger.Warn("session not kept awake", "error", err)
		}
	}
	return &s, nil
}

// byItself reports whether a page sent the request and nobody did anything: it listens
// for changes, or shows them. A browser tells so in a header that no page can set.
func byItself(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return r.Method == http.MethodGet && mode != "" && mode != "navigate"
}

// enter opens a session, and ends the one that the browser had.
func (d *Door) enter(w http.ResponseWriter, r *http.Request, s session, actor string) error {
	ctx := r.Context()
	if err := d.end(r); err != nil {
		return err
	}
	if err := d.log(ctx, actor, "login", r.RemoteAddr); err != nil {
		return err
	}
	s.Way = WayOf(ctx)
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	secret, now := rand.Text(), d.Now()
	if err := d.Store.PutTicket(ctx, ticketIdle, digest(secret), []byte{}, now.Add(d.Idle)); err != nil {
		return err
	}
	if err := d.Store.PutTicket(ctx, ticketSession, digest(secret), value, now.Add(d.Life)); err != nil {
		return err
	}
	setCookie(w, r, "session", secret, d.Life, http.SameSiteStrictMode)
	return nil
}

// end takes the browser's session away.
func (d *Door) end(r *http.Request) error {
	secret := secretOf(r, "session")
	if secret == "" {
		return nil
	}
	_, _, err := d.Store.Ticket(r.Context(), ticketSession, digest(secret), true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d *Door) log(ctx context.Context, actor, action, object string) error {
	return d.Store.Log(ctx, muster.LogEntry{At: d.Now(), Actor: actor, Action: action, Object: object})
}

// Link makes an address, below that of this computer's way in, that opens a session once.
func (d *Door) Link(ctx context.Context) (string, error) {
	secret := rand.Text()
	err := d.Store.PutTicket(ctx, ticketLink, digest(secret), []byte{}, d.Now().Add(linkLife))
	return "/login?token=" + secret, err
}

// newLink makes another link, for who holds the API token.
func (d *Door) newLink(w http.ResponseWriter, r *http.Request) {
	err := d.log(r.Context(), Actor(r.Context()), "link", "")
	var path string
	if err == nil {
		path, err = d.Link(r.Context())
	}
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"path": path})
}

// login exchanges a one-time link for a session, or asks the provider who it is.
func (d *Door) login(w http.ResponseWriter, r *http.Request) {
	switch WayOf(r.Context()) {
	case ViaTailnet:
		d.refuse(w, r, http.StatusForbidden, "not_here", "the tailnet knows who you are, and links are for the collector's own computer")
		return
	case ViaTLS:
		d.begin(w, r)
		return
	}
	_, _, err := d.Store.Ticket(r.Context(), ticketLink, digest(r.URL.Query().Get("token")), true)
	if errors.Is(err, fs.ErrNotExist) {
		d.refuse(w, r, http.StatusUnauthorized, "bad_link", "this link was used, or is too old: make another with muster-collector link")
		return
	}
	if err == nil {
		err = d.enter(w, r, session{}, "link")
	}
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	d.welcome(w, r, "/")
}

// logout ends the session.
func (d *Door) logout(w http.ResponseWriter, r *http.Request) {
	s, err := d.session(r)
	if err == nil && s != nil {
		if err = d.log(r.Context(), cmp.Or(s.Login, "link"), "logout", r.RemoteAddr); err == nil {
			err = d.end(r)
		}
	}
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	setCookie(w, r, "session", "", 0, http.SameSiteStrictMode)
	d.farewell(w, r)
}

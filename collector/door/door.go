// Package door decides who may speak to the collector and who may see what: one
// table of rules, the three ways in, and the sessions of people.
//
// Who someone is comes from the way in, never from a header that a request may set: the
// tailnet tells who is at the other end; on loopback it is the API token, or a session
// that a one-time link opened; with TLS it is a session that an OpenID Connect
// provider opened. Sessions are in the store, so that every collector before one
// database knows them, and only digests of their secrets are.
package door

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/passmuster/muster"
)

// Defaults of Options.
const (
	DefaultIdle = time.Hour
	DefaultLife = 12 * time.Hour
)

// Store keeps what outlives a request.
type Store interface {
	// PutTicket keeps, or keeps anew, a secret's digest and what it opens until then.
	PutTicket(ctx context.Context, kind string, digest muster.Digest, value []byte, until time.Time) error
	// Ticket returns one that is not out of date; any other is an error that is
	// fs.ErrNotExist. Take also removes it; of several that take at once one gets it.
	Ticket(ctx context.Context, kind string, digest muster.Digest, take bool) (value []byte, until time.Time, err error)
	// Log appends to the audit log.
	Log(ctx context.Context, e muster.LogEntry) error
	// HostCounty is the county of an enrolled host; fs.ErrNotExist where there is none.
	HostCounty(ctx context.Context, id muster.HostID) (muster.County, error)
}

// Tailnet is the collector's node of a tailnet; internal/tailnet has one.
type Tailnet interface {
	// Listen takes connections from the tailnet, for example on ":80".
	Listen(network, address string) (net.Listener, error)
	// WhoIs tells who is at a remote address of such a connection. Its error means
	// that nobody is known there.
	WhoIs(ctx context.Context, remoteAddr string) (muster.Peer, error)
	// Status tells the node's name.
	Status(ctx context.Context) muster.TailnetStatus
}

// Options of New. Store is required.
type Options struct {
	Store Store
	// Token that scripts of this computer bring; "" lets none in.
	Token string
	// Tailnet is required for requests that come ViaTailnet.
	Tailnet Tailnet
	// TLS and OIDC are required for requests that come ViaTLS.
	TLS  *TLS
	OIDC *OIDC
	// Idle is how long a session waits for the next request, Life how long it can last
	// at most; 0 means DefaultIdle and DefaultLife.
	Idle, Life time.Duration
	// Rules; nil means Table().
	Rules []Rule
	// Page shows a person what the door itself has to say, and sets its headers; nil
	// means a plain page.
	Page func(http.ResponseWriter, *http.Request, Page)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Logger; nil discards.
	Logger *slog.Logger
}

// Door lets in who may come in. Safe for concurrent use.
type Door struct {
	Options
	token    [sha256.Size]byte
	origin   string // of TLS.URL's host
	provider *provider
	attempts *attempts
}

// New checks the options; it asks no provider yet.
func New(o Options) (*Door, error) {
	if o.Store == nil {
		return nil, errors.New("door: options: a store is required")
	}
	o.Idle, o.Life = cmp.Or(o.Idle, DefaultIdle), cmp.Or(o.Life, DefaultLife)
	if o.Idle < 0 || o.Life < o.Idle {
		return nil, errors.New("sessions: the time to wait must be above 0 and at most that to last")
	}
	if o.Rules == nil {
		o.Rules = Table()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d := &Door{Options: o, token: sha256.Sum256([]byte(o.Token)), attempts: newAttempts()}
	if (o.TLS == nil) != (o.OIDC == nil) {
		return nil, errors.New("the dashboard's TLS address and its OpenID Connect provider (oidc) come together: configure both, or neither")
	}
	if o.TLS == nil {
		return d, nil
	}
	var err error
	if d.origin, err = o.TLS.host(); err != nil {
		return nil, err
	}
	d.provider, err = newProvider(o.OIDC, o.TLS.URL, d.Now)
	return d, err
}

// Way is how a request came in.
type Way int

const (
	// ViaLoopback: from this computer.
	ViaLoopback Way = iota
	// ViaTailnet: over the tailnet.
	ViaTailnet
	// ViaTLS: over the network that people's browsers are in.
	ViaTLS
)

type contextKey int

const (
	wayKey contextKey = iota
	senderKey
	countiesKey
)

// Context of the requests of a way: for the BaseContext of its server, so that no
// request can say so itself.
func (w Way) Context(ctx context.Context) context.Context { return context.WithValue(ctx, wayKey, w) }

// WayOf a request's context.
func WayOf(ctx context.Context) Way {
	w, _ := ctx.Value(wayKey).(Way)
	return w
}

// Sender is who sent a request that was let in; the zero Peer where its rule lets
// anyone in.
func Sender(ctx context.Context) muster.Peer {
	p, _ := ctx.Value(senderKey).(muster.Peer)
	return p
}

// CountiesOnly reports whether the sender of a request reads counties of theirs and
// not the state.
func CountiesOnly(ctx context.Context) bool { return ctx.Value(countiesKey) != nil }

// Actor names the sender for the audit log.
func Actor(ctx context.Context) string {
	p := Sender(ctx)
	return cmp.Or(p.Login, p.Name, p.Node)
}

// Handlers are the door's own, by pattern.
func (d *Door) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /login":          http.HandlerFunc(d.login),
		"GET /login/callback": http.HandlerFunc(d.callback),
		"POST /logout":        http.HandlerFunc(d.logout),
		"POST /api/v1/links":  http.HandlerFunc(d.newLink),
	}
}

// Wrap is the whole server: each handler by its pattern, behind its rule. One without
// a rule is denied, and what a page of another origin sends changes nothing.
func (d *Door) Wrap(handlers map[string]http.Handler) http.Handler {
	mux := http.NewServeMux()
	ruled := map[string]bool{}
	for _, rule := range d.Rules {
		ruled[rule.Pattern] = true
		h, ok := handlers[rule.Pattern]
		switch {
		case ok:
		case rule.Pattern == "/" || rule.Pattern == "/api/":
			h = http.HandlerFunc(d.missing)
		default:
			continue
		}
		mux.Handle(rule.Pattern, d.guard(rule, h))
	}
	for pattern := range handlers {
		if !ruled[pattern] {
			d.Logger.Error("route without a rule denied", "pattern", pattern)
			mux.Handle(pattern, d.guard(Rule{Pattern: pattern, Need: muster.RoleViewer, County: Open}, http.HandlerFunc(d.missing)))
		}
	}
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), WayOf(r.Context()))
		d.refuse(w, r, http.StatusForbidden, "cross_origin", "it came from a page of another origin: open the page here, and do it again")
	}))
	return origin.Handler(mux)
}

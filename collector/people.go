package collector

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/ingest"
)

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

// What a route may need beside a role.
const (
	// anyone who reaches the collector.
	anyone muster.Role = ""
	// here: a session or the API token of this computer.
	here muster.Role = "here"
)

// ranks orders the roles: each may do what those before it may.
var ranks = []muster.Role{muster.RoleViewer, muster.RoleOperator, muster.RoleCISO}

func may(p muster.Peer, need muster.Role) bool {
	if need == anyone || p.Local {
		return true
	}
	least := slices.Index(ranks, need)
	return least >= 0 && slices.ContainsFunc(p.Roles, func(r muster.Role) bool { return slices.Index(ranks, r) >= least })
}

type contextKey string

const (
	viaTailnet contextKey = "via tailnet" // set by the server of the tailnet, so that no request can say so itself
	sender     contextKey = "sender"      // muster.Peer, set by allow
)

func overTailnet(ctx context.Context) bool { return ctx.Value(viaTailnet) != nil }

// actor names who sent a request that allow let in, for the audit log.
func actor(r *http.Request) string {
	p, _ := r.Context().Value(sender).(muster.Peer)
	return cmp.Or(p.Login, p.Name, p.Node)
}

// identify tells the host API who sent a request.
func (c *Collector) identify() func(*http.Request) (muster.Peer, error) {
	loopback := ingest.LoopbackToken(c.keys.hostToken)
	return func(r *http.Request) (muster.Peer, error) {
		if overTailnet(r.Context()) {
			return c.whoIs(r)
		}
		return loopback(r)
	}
}

// whoIs never takes a node for this computer, whatever the tailnet says.
func (c *Collector) whoIs(r *http.Request) (muster.Peer, error) {
	p, err := c.Tailnet.WhoIs(r.Context(), r.RemoteAddr)
	p.Local = false
	return p, err
}

// person tells which person or script sent a request; the zero Peer is nobody.
func (c *Collector) person(r *http.Request) (muster.Peer, error) {
	switch {
	case overTailnet(r.Context()):
		return c.whoIs(r)
	case c.doors.script(r):
		return muster.Peer{Local: true, Name: "token"}, nil
	case c.doors.session(r):
		return muster.Peer{Local: true, Name: "link"}, nil
	}
	return muster.Peer{}, nil
}

// allow lets in who has what the route needs.
func (c *Collector) allow(need muster.Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remote := overTailnet(r.Context())
		if remote && !c.named(r) {
			refuse(w, r, http.StatusMisdirectedRequest, "wrong_name", "this is not the collector's name in the tailnet")
			return
		}
		p, err := c.person(r)
		if err != nil {
			c.Logger.Warn("nobody is known at an address of the tailnet", "from", r.RemoteAddr, "error", err)
			p = muster.Peer{}
		}
		switch {
		case may(p, need):
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sender, p)))
		case !remote:
			refuse(w, r, http.StatusUnauthorized, "login_needed",
				"open the link that muster-collector printed, or have another one made: muster-collector link")
		case need == here:
			refuse(w, r, http.StatusForbidden, "not_here", "this is done on the collector's own computer")
		default:
			refuse(w, r, http.StatusForbidden, "role_needed",
				cmp.Or(p.Login, p.Name, "this node")+" needs the role "+string(need)+": whoever runs the tailnet can grant it")
		}
	})
}

// named refuses a name that someone else gave the collector: a page on such a
// name would be of one origin with it, and the tailnet knows who reads it.
func (c *Collector) named(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	name := c.Tailnet.Status(r.Context()).Name
	first, _, _ := strings.Cut(name, ".")
	host = strings.TrimSuffix(host, ".")
	return name != "" && (strings.EqualFold(host, name) || strings.EqualFold(host, first))
}

// refuse answers scripts with problem+json and people with a sentence.
func refuse(w http.ResponseWriter, r *http.Request, status int, code, detail string) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		ingest.Problem(w, status, code, detail)
		return
	}
	http.Error(w, "This is not shown or done: "+detail+".", status)
}

package collector

import (
	"context"
	"net/http"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/door"
	"github.com/passmuster/muster/collector/ingest"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/web"
)

// Tailnet is the collector's node of a tailnet.
type Tailnet = door.Tailnet

// doorStore is the store as the door asks it.
type doorStore struct{ store.Store }

func (s doorStore) PutTicket(ctx context.Context, kind string, digest muster.Digest, value []byte, until time.Time) error {
	return s.Store.PutTicket(ctx, store.Ticket{Kind: kind, Digest: digest, Value: value, Until: until})
}

func (s doorStore) Ticket(ctx context.Context, kind string, digest muster.Digest, take bool) ([]byte, time.Time, error) {
	t, err := s.Store.Ticket(ctx, kind, digest, take)
	return t.Value, t.Until, err
}

func (s doorStore) HostCounty(ctx context.Context, id muster.HostID) (muster.County, error) {
	e, err := s.Enrolled(ctx, id)
	return e.County, err
}

func (c *Collector) openDoor() (*door.Door, error) {
	return door.New(door.Options{Store: doorStore{c.store}, Token: c.keys.apiToken, Tailnet: c.Tailnet, TLS: c.TLS, OIDC: c.OIDC,
		Idle: c.SessionIdle, Life: c.SessionLife, Now: c.Now, Logger: c.Logger,
		Page: func(w http.ResponseWriter, r *http.Request, p door.Page) {
			c.view.Load().pages.Tell(w, r, web.Notice(p))
		}})
}

// identify tells the host API who sent a request.
func (c *Collector) identify() func(*http.Request) (muster.Peer, error) {
	loopback := ingest.LoopbackToken(c.keys.hostToken)
	return func(r *http.Request) (muster.Peer, error) {
		if door.WayOf(r.Context()) == door.ViaTailnet {
			p, err := c.Tailnet.WhoIs(r.Context(), r.RemoteAddr)
			p.Local = false // whatever the tailnet says
			return p, err
		}
		return loopback(r)
	}
}

// actor names who sent a request, for the audit log.
func actor(r *http.Request) string { return door.Actor(r.Context()) }

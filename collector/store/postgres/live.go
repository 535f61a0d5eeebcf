package postgres

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// A lost listener comes back after so long.
const (
	listenAgain = time.Second
	// listenCheck is how long it hears nothing before it looks whether the connection
	// is still there.
	listenCheck = 15 * time.Second
)

// live is who watches, and the one connection that listens for them.
type live struct {
	store.Watchers
	once  sync.Once
	start func()
	done  sync.WaitGroup
}

// Watch tells what changed, whichever process changed it.
func (s *Store) Watch(ctx context.Context) <-chan []muster.County {
	c := s.live.Watch(ctx)
	s.live.once.Do(s.live.start)
	return c
}

// listen passes on what the database tells until ctx ends.
func (s *Store) listen(ctx context.Context) {
	for ctx.Err() == nil {
		s.hear(ctx) // whatever ended it, the next connection tells
		select {
		case <-time.After(listenAgain):
		case <-ctx.Done():
		}
	}
}

// hear listens on one connection until it is lost.
func (s *Store) hear(ctx context.Context) {
	c, err := pgx.ConnectConfig(ctx, s.single)
	if err != nil {
		return
	}
	defer c.Close(context.WithoutCancel(ctx))
	if _, err := c.Exec(ctx, `LISTEN muster`); err != nil {
		return
	}
	s.live.Tell(nil) // whatever changed before
	for {
		quiet, cancel := context.WithTimeout(ctx, listenCheck)
		n, err := c.WaitForNotification(quiet)
		cancel()
		switch {
		case err == nil:
			s.live.Tell(counties(n.Payload))
		case ctx.Err() != nil || quiet.Err() == nil || c.Ping(ctx) != nil:
			return
		}
	}
}

// counties of a notification; none where anything may have changed.
func counties(payload string) []muster.County {
	var list []muster.County
	for _, c := range strings.Fields(payload) {
		list = append(list, muster.County(c))
	}
	return list
}

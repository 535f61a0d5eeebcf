package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// A job's lock is looked at so often, and must answer so soon.
const (
	lockCheck   = 2 * time.Second
	lockTimeout = 5 * time.Second
)

// Once runs do unless another process runs a job of that name now. The lock is lost with
// the connection that holds it; the context of do ends then.
func (s *Store) Once(ctx context.Context, job string, do func(context.Context) error) (ran bool, err error) {
	what := "run job " + job
	c, err := pgx.ConnectConfig(ctx, s.single)
	if err != nil {
		return false, wrap(what, err)
	}
	// The lock goes with the connection.
	defer c.Close(context.WithoutCancel(ctx))
	err = c.QueryRow(ctx, `SELECT pg_try_advisory_lock(hashtextextended($1, 0))`, "muster job "+job).Scan(&ran)
	if err != nil || !ran {
		return false, wrap(what, err)
	}
	held, lost := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		lost(hold(held, c))
	}()
	err = do(held)
	if cause := context.Cause(held); cause != nil && ctx.Err() == nil {
		err = errors.Join(err, cause)
	}
	lost(nil)
	<-done
	// Without it the server lets go some time after the connection has ended, and whoever
	// comes next runs nothing.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockTimeout)
	defer cancel()
	_, _ = c.Exec(last, `SELECT pg_advisory_unlock_all()`)
	return true, wrap(what, err)
}

// hold looks at the connection until it is lost or ctx ends.
func hold(ctx context.Context, c *pgx.Conn) error {
	tick := time.NewTicker(lockCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		// A question that is broken off would end the connection.
		alive, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockTimeout)
		err := c.Ping(alive)
		cancel()
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("its lock was lost: %w", err)
		}
	}
}

// Package postgres keeps the collector's store in a PostgreSQL database, for as many
// collectors at once as there are. All of them need clocks that agree to a few seconds.
//
// Sessions hold advisory locks and listen, so connections must go to the server itself
// or through a pool that keeps sessions. Schema changes are numbered migrations in this
// package; a database from a newer release is refused.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/tables"
)

// What holds where the DSN has no pool_max_conns and no connect_timeout.
const (
	DefaultConnections    = 16 // of one process
	DefaultConnectTimeout = 5 * time.Second
)

// Advisory locks that are PostgreSQL's own numbers; those of jobs are hashes.
const (
	lockMigration = 0x6d757374657200 + iota // "muster", 0
	// lockWrite is had by one Write alone or shared by Commits.
	lockWrite
	// lockRest is had by one Commit that writes what is not of its hosts alone.
	lockRest
	lockPartitions
)

// session sets up a connection: nothing that was stamped is committed more than a minute
// later, a receipt promises that the report survives the loss of power, and pages do not
// wait for a compiler, for other processes, or for one page of the disk after the other.
// Every join of tables goes from host to host by an index; without statistics, as after
// Load, the planner would think of worse.
const session = `SELECT set_config('statement_timeout', '25s', false), set_config('lock_timeout', '25s', false),
	set_config('idle_in_transaction_session_timeout', '25s', false), set_config('jit', 'off', false),
	set_config('max_parallel_workers_per_gather', '0', false),
	set_config('effective_io_concurrency', CASE current_setting('effective_io_concurrency') WHEN '1' THEN '64' ELSE current_setting('effective_io_concurrency') END, false),
	set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false),
	set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false)`

// Store is a store.Store in a PostgreSQL database.
type Store struct {
	*tables.DB
	pool *pgxpool.Pool
	db   *sql.DB // through the pool
	// single is a connection outside the pool.
	single *pgx.ConnConfig
	stop   context.CancelFunc
	live   live
}

var _ store.Store = (*Store)(nil)

// Open connects to the database that the DSN names, as a URL or as key=value words, and
// brings its schema up to date. Of several servers in the DSN it uses the one that can be
// written to, so that it follows the promotion of a standby.
func Open(ctx context.Context, dsn string, o store.Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s, err := open(ctx, dsn, o)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, dsn string, o store.Options) (*Store, error) {
	c, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		c.MaxConns = DefaultConnections
	}
	if !strings.Contains(dsn, "connect_timeout") {
		c.ConnConfig.ConnectTimeout = DefaultConnectTimeout
	}
	configure(c.ConnConfig)
	s := &Store{single: c.ConnConfig.Copy()}
	if err := migrate(ctx, s.single); err != nil {
		return nil, err
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
		return nil, err
	}
	s.db = stdlib.OpenDBFromPool(s.pool)
	s.DB = s.tables(o, s.write)
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	s.live.start = func() { s.live.done.Go(func() { s.listen(background) }) }
	if err := s.addPartitions(ctx, months(o.Now())...); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// tables are read through the pool and written by write.
func (s *Store) tables(o store.Options, write func(context.Context, string, func(tables.Querier) error) error) *tables.DB {
	return &tables.DB{
		Options: o, Read: s.db, Snapshot: s.snapshot, Write: write, Wrap: wrap, OfHost: ofHost,
		Indexes: `SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
			WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r' AND NOT t.relispartition AND NOT i.indisunique`,
	}
}

// ofHost goes by a hash: an index on two words of eight bytes is filled as times grow, and
// of one that begins with the id half of each page stays free for ever. That the host is the
// same is said in a way by which the planner does not expect much fewer rows.
func ofHost(alias string) string {
	return fmt.Sprintf(`hashtextextended(%[1]s.host, 0) = hashtextextended(h.id, 0) AND CASE %[1]s.host WHEN h.id THEN 1 ELSE 0 END > 0`, alias)
}

// configure a session.
func configure(c *pgx.ConnConfig) {
	if c.ValidateConnect == nil {
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	c.RuntimeParams["application_name"] = "muster-collector"
	c.AfterConnect = func(ctx context.Context, c *pgconn.PgConn) error { return c.Exec(ctx, session).Close() }
	c.OnNotice = func(c *pgconn.PgConn, n *pgconn.Notice) {
		if n.Code == warning {
			c.CustomData()[warned] = true
		}
	}
}

// warned is set in a connection that had a warning. A commit that has one was cancelled
// while it waited for the standby: it happened here and perhaps not there.
const (
	warned  = "warned"
	warning = "01000"
)

// errNotCertain is a commit of which it is not known whether it happened.
var errNotCertain = errors.New("it is not known whether this was committed, and on every server that it should be: try again")

// Close ends every connection. Whatever was committed is safe without it.
func (s *Store) Close() error {
	s.stop()
	s.live.done.Wait()
	err := s.db.Close()
	s.pool.Close()
	return err
}

func (s *Store) snapshot(ctx context.Context, what string, do func(tables.Querier) error) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return wrap(what, err)
	}
	// Who reads long holds up nobody.
	_, err = tx.ExecContext(ctx, `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`)
	if err == nil {
		err = do(tx)
	}
	if undone := tx.Rollback(); undone != nil && !errors.Is(undone, sql.ErrTxDone) {
		err = errors.Join(err, undone)
	}
	return wrap(what, err)
}

// write runs do alone: no other write and no commit of reports runs meanwhile, in
// whichever process.
func (s *Store) write(ctx context.Context, what string, do func(tables.Querier) error) error {
	conn, err := s.alone(ctx)
	if err != nil {
		return wrap(what, err)
	}
	defer conn.Close()
	// Were a client that hangs up to end the COMMIT, nobody could tell whether it happened.
	whole := context.WithoutCancel(ctx)
	if err := do(conn); err != nil {
		// Where this fails the connection is closed, and the transaction with it.
		_, _ = conn.ExecContext(whole, `ROLLBACK`)
		return wrap(what, err)
	}
	return wrap(what, raw(conn, func(c *pgx.Conn) error { return finish(whole, c, &pgx.Batch{}) }))
}

// alone gives a connection in a transaction that has lockWrite.
func (s *Store) alone(ctx context.Context) (conn *sql.Conn, err error) {
	err = again(ctx, passing, func() (err error) {
		if conn, err = s.db.Conn(ctx); err != nil {
			return err
		}
		err = raw(conn, func(c *pgx.Conn) error {
			b := &pgx.Batch{}
			b.Queue(`BEGIN`)
			b.Queue(`SELECT pg_advisory_xact_lock($1)`, lockWrite)
			return c.SendBatch(ctx, b).Close()
		})
		if err != nil {
			err = errors.Join(err, conn.Close())
		}
		return err
	})
	return conn, err
}

// A transaction is tried so often where the next try may succeed.
const (
	tries     = 5
	firstWait = 20 * time.Millisecond // and twice as long every time
)

// again runs do until it fails for a reason that lasts.
func again(ctx context.Context, passing func(error) bool, do func() error) error {
	for n, wait := 1, firstWait; ; n, wait = n+1, 2*wait {
		err := do()
		if err == nil || n == tries || !passing(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}

// passing are errors after which nothing was written and the next try may succeed:
// serialization failures, deadlocks, locks not available, a partition that was not
// there, and a server that goes down, comes up or is not the first any more.
func passing(err error) bool {
	switch code(err) {
	case "40001", "40P01", "55P03", noPartition, "57P01", "57P02", "57P03", "25006":
		return !errors.Is(err, errNotCertain)
	}
	return pgconn.SafeToRetry(err)
}

// code is the error's SQLSTATE, or "".
func code(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// wrap names the operation and gives the database's errors the names that callers
// branch on.
func wrap(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		err = fs.ErrNotExist
	case code(err) == "53100": // disk_full
		err = fmt.Errorf("%w: %w", muster.ErrFull, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Rollup begins when whatever was stamped before is committed.
func (s *Store) Rollup(ctx context.Context, at time.Time) error {
	if err := s.write(ctx, "wait for commits", func(tables.Querier) error { return nil }); err != nil {
		return err
	}
	return s.DB.Rollup(ctx, at)
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return wrap("ping the database", s.pool.Ping(ctx)) }

// About tells what the store is.
func (s *Store) About(ctx context.Context) (store.About, error) {
	a := store.About{}
	err := s.pool.QueryRow(ctx, `SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1),
		(SELECT max(version_id) FROM goose_db_version), pg_database_size(current_database()), clock_timestamp()`).
		Scan(&a.Database, &a.Schema, &a.Bytes, &a.Now)
	a.Now = a.Now.UTC()
	return a, wrap("ask about the database", err)
}

// Package sqlite keeps the collector's store in one SQLite file: WAL, every
// commit synced, one writing connection, several reading ones.
//
// Another process may open the same file at the same time, such as
// `muster-collector hosts approve` beside `serve`. Schema changes are numbered
// migrations in this package; a file from a newer release is refused.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/tables"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many questions are answered at once; more of them wait.
const readers = 4

// cacheSize of the writing connection, as SQLite has it: 8 MiB.
const cacheSize = "-8192"

// Store is a store.Store in one file.
type Store struct {
	*tables.DB
	path     string
	reader   *sql.DB
	reading  statements // on reader
	watchers store.Watchers

	// mu is held over every transaction of the one writing connection and
	// guards what follows.
	mu      sync.Mutex
	writer  *sql.DB
	conn    *sql.Conn  // of writer
	writing statements // on conn
	hot     hot
	// version is SQLite's word on whether another process wrote: hot is then stale.
	version int64
	// told are the counties that the transaction changes; all: anything may have changed.
	told map[muster.County]bool
	all  bool
}

var _ store.Store = (*Store)(nil)

// Open opens the file, which it creates where it is not there, and brings its
// schema up to date.
func Open(ctx context.Context, path string, o store.Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{path: path, told: map[muster.County]bool{}}
	err := s.open(ctx, path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), s.Close())
	}
	s.DB = &tables.DB{
		Options:  o,
		Read:     &s.reading,
		Snapshot: s.snapshot,
		Write:    s.write,
		Wrap:     wrap,
		OfHost:   func(alias string) string { return alias + ".host = h.id" },
		Indexes:  `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL`,
		Changed:  s.changed,
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) error {
	dsn := func(more ...string) string {
		q := url.Values{"_pragma": append([]string{
			"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)", "foreign_keys(on)",
		}, more...)}
		return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
	}
	var err error
	// Checkpoints are paid by commits: fewer and larger ones rewrite hot pages less often.
	if s.writer, err = sql.Open("sqlite", dsn("wal_autocheckpoint(8000)", "cache_size("+cacheSize+")")); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = sql.Open("sqlite", dsn("query_only(on)", "cache_size(-2048)")); err != nil {
		return err
	}
	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(readers) // or two of them are closed after each question, with what they have prepared
	if err = s.migrate(ctx); err != nil {
		return err
	}
	s.conn, err = s.writer.Conn(ctx)
	s.reading = statements{on: s.reader, all: map[string]*sql.Stmt{}}
	s.writing = statements{on: s.conn, all: map[string]*sql.Stmt{}}
	return err
}

// Another process is given so long to get on with its migration.
const (
	migratePatience = 15 * time.Second
	migratePause    = 50 * time.Millisecond
)

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.writer, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	for before, moved := int64(-1), time.Now(); ; {
		var have int64
		trial, err := s.trial(ctx)
		if trial {
			err = errTrial
		}
		if err != nil && !busy(err) {
			return err
		}
		if err == nil {
			have, err = p.GetDBVersion(ctx)
		}
		if err == nil && have > newest {
			return fmt.Errorf("its schema %d is newer than this program (%d): use the newer release", have, newest)
		}
		if err == nil {
			_, err = p.Up(ctx)
		}
		// Where another process migrates at this moment it wins, and there is less to
		// do; it may also just hold the lock, for which SQLite does not always wait.
		if have > before {
			before, moved = have, time.Now()
		}
		if err == nil || time.Since(moved) > migratePatience {
			return err
		}
		select {
		case <-time.After(migratePause):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

var errTrial = errors.New("it was made by a trial version of Muster, before the first release, and cannot be brought up to date: " +
	"move the file away and start with a new one; hosts enroll again by themselves")

// trial reports whether the schema is that of a version which was never released.
func (s *Store) trial(ctx context.Context) (bool, error) {
	var there, trial int
	err := s.writer.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'`).Scan(&there)
	if err != nil || there == 0 {
		return false, err
	}
	err = s.writer.QueryRowContext(ctx, `SELECT count(*) FROM goose_db_version WHERE version_id BETWEEN 1 AND 9`).Scan(&trial)
	return trial > 0, err
}

// Close closes the file. Whatever was committed is safe without it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.writing.Close(), s.reading.Close()}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	for _, db := range []*sql.DB{s.reader, s.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// snapshot runs do on one reading connection, in a transaction that sees one instant.
func (s *Store) snapshot(ctx context.Context, what string, do func(tables.Querier) error) error {
	tx, err := s.reader.BeginTx(ctx, nil)
	if err != nil {
		return wrap(what, err)
	}
	err = do(tx)
	// It only read: there is nothing to undo.
	_ = tx.Rollback()
	return wrap(what, err)
}

// write runs do in one transaction of the writing connection.
func (s *Store) write(ctx context.Context, what string, do func(tables.Querier) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.transact(ctx, what, do)
	if s.all || len(s.told) > 0 {
		s.hot.clear() // what Commit remembers of hosts may not be so any more
	}
	return err
}

// transact is write for who holds mu.
func (s *Store) transact(ctx context.Context, what string, do func(tables.Querier) error) error {
	// A client that hangs up ends do. Were it to end a BEGIN or a COMMIT, nobody
	// could tell whether that had happened, and the connection would be lost.
	whole := context.WithoutCancel(ctx)
	clear(s.told)
	s.all = false
	_, err := s.writing.ExecContext(whole, `BEGIN IMMEDIATE`)
	if err != nil {
		return wrap(what, err)
	}
	if err = s.refresh(ctx); err == nil {
		err = do(&s.writing)
	}
	if err == nil {
		_, err = s.writing.ExecContext(whole, `COMMIT`)
	}
	if err != nil {
		// The cause is in err; where SQLite rolled back by itself this is a no-op.
		_, _ = s.conn.ExecContext(whole, `ROLLBACK`)
		return wrap(what, err)
	}
	s.tell()
	return nil
}

// refresh forgets what is remembered of hosts where another process wrote, and tells
// those who watch.
func (s *Store) refresh(ctx context.Context) error {
	var v int64
	if err := s.writing.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&v); err != nil {
		return err
	}
	if v != s.version {
		s.version = v
		s.hot.clear()
		s.watchers.Tell(nil)
	}
	return nil
}

// statements stay prepared for as long as the store is open. Safe for concurrent use
// where on is.
type statements struct {
	on interface {
		tables.Querier
		PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
	}
	mu  sync.Mutex
	all map[string]*sql.Stmt
}

// maxPrepared bounds them; few texts are ever used.
const maxPrepared = 512

// prepare gives nil where the statement cannot be kept: it is then run as it is.
func (t *statements) prepare(ctx context.Context, query string) *sql.Stmt {
	t.mu.Lock()
	stmt, full := t.all[query], len(t.all) >= maxPrepared
	t.mu.Unlock()
	if stmt != nil || full {
		return stmt
	}
	made, err := t.on.PrepareContext(ctx, nameless(query))
	if err != nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if stmt = t.all[query]; stmt != nil { // another was faster
		_ = made.Close()
		return stmt
	}
	t.all[query] = made
	return made
}

// nameless writes $1, $2, … as ?, where each is there once and in order: parameters
// without names are bound faster.
func nameless(query string) string {
	parts := strings.Split(query, "$")
	for i, part := range parts[1:] {
		rest, ok := strings.CutPrefix(part, strconv.Itoa(i+1))
		if !ok || rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return query
		}
		parts[i+1] = rest
	}
	return strings.Join(parts, "?")
}

func (t *statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if stmt := t.prepare(ctx, query); stmt != nil {
		return stmt.ExecContext(ctx, args...)
	}
	return t.on.ExecContext(ctx, query, args...)
}

func (t *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if stmt := t.prepare(ctx, query); stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return t.on.QueryContext(ctx, query, args...)
}

func (t *statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if stmt := t.prepare(ctx, query); stmt != nil {
		return stmt.QueryRowContext(ctx, args...)
	}
	return t.on.QueryRowContext(ctx, query, args...)
}

func (t *statements) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, stmt := range t.all {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// busy reports whether another process holds the file.
func busy(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code()&0xff == codes.SQLITE_BUSY
}

// wrap names the operation and gives SQLite's and the package's errors the
// names that callers branch on.
func wrap(what string, err error) error {
	var e *driver.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		err = fs.ErrNotExist
	case errors.As(err, &e) && e.Code()&0xff == codes.SQLITE_FULL:
		err = fmt.Errorf("%w: %w", muster.ErrFull, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

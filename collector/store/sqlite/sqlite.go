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
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many questions are answered at once; more of them wait.
const readers = 4

// Store is a store.Store in one file.
type Store struct {
	now    func() time.Time
	reader *sql.DB

	// mu is held over every transaction of the one writing connection and
	// guards what follows.
	mu       sync.Mutex
	writer   *sql.DB
	conn     *sql.Conn // of writer
	prepared map[string]*sql.Stmt
	hot      map[muster.HostID]hot
	// version is SQLite's word on whether another process wrote: hot is then stale.
	version int64
}

var _ store.Store = (*Store)(nil)

// Open opens the file, which it creates where it is not there, and brings its
// schema up to date. now is the clock by which hosts are stale; nil means
// time.Now.
func Open(ctx context.Context, path string, now func() time.Time) (*Store, error) {
	if now == nil {
		now = time.Now
	}
	s := &Store{now: now, prepared: map[string]*sql.Stmt{}, hot: map[muster.HostID]hot{}}
	err := s.open(ctx, path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", path, err), s.Close())
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
	if s.writer, err = sql.Open("sqlite", dsn("wal_autocheckpoint(8000)", "cache_size(-65536)")); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = sql.Open("sqlite", dsn("query_only(on)", "cache_size(-16384)")); err != nil {
		return err
	}
	s.reader.SetMaxOpenConns(readers)
	if err = s.migrate(ctx); err != nil {
		return err
	}
	s.conn, err = s.writer.Conn(ctx)
	return err
}

// Another process is given so long to get on with its migration.
const (
	migrateTries = 20
	migratePause = 50 * time.Millisecond
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
	for before, tries := int64(-1), 0; ; {
		have, err := p.GetDBVersion(ctx)
		if err == nil && have > newest {
			return fmt.Errorf("its schema %d is newer than this program (%d): use the newer release", have, newest)
		}
		if err == nil {
			_, err = p.Up(ctx)
		}
		// Where another process migrates at this moment it wins, and there is less to
		// do; it may also just hold the lock.
		if have > before {
			before, tries = have, 0
		}
		if tries++; err == nil || tries > migrateTries {
			return err
		}
		select {
		case <-time.After(migratePause):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// Close closes the file. Whatever was committed is safe without it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, stmt := range s.prepared {
		errs = append(errs, stmt.Close())
	}
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

// write runs do in one transaction of the writing connection.
func (s *Store) write(ctx context.Context, what string, do func(tx *sql.Conn) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transact(ctx, what, do)
}

// transact is write for who holds mu.
func (s *Store) transact(ctx context.Context, what string, do func(tx *sql.Conn) error) error {
	// A client that hangs up ends do. Were it to end a BEGIN or a COMMIT, nobody
	// could tell whether that had happened, and the connection would be lost.
	whole := context.WithoutCancel(ctx)
	_, err := s.conn.ExecContext(whole, `BEGIN IMMEDIATE`)
	if err != nil {
		return wrap(what, err)
	}
	if err = s.refresh(ctx); err == nil {
		err = do(s.conn)
	}
	if err == nil {
		_, err = s.conn.ExecContext(whole, `COMMIT`)
	}
	if err != nil {
		// The cause is in err; where SQLite rolled back by itself this is a no-op.
		_, _ = s.conn.ExecContext(whole, `ROLLBACK`)
	}
	return wrap(what, err)
}

// refresh forgets what is remembered of hosts where another process wrote.
func (s *Store) refresh(ctx context.Context) error {
	var v int64
	if err := s.conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&v); err != nil {
		return err
	}
	if v != s.version {
		s.version = v
		clear(s.hot)
	}
	return nil
}

// prepare gives a statement that stays prepared for as long as the store is
// open. It is called inside write.
func (s *Store) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt := s.prepared[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(ctx, query)
	if err == nil {
		s.prepared[query] = stmt
	}
	return stmt, err
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

// rows asks the reading connections and scans every row with scan.
func rows[T any](ctx context.Context, s *Store, what string, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	r, err := s.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, wrap(what, err)
	}
	defer r.Close()
	var list []T
	for r.Next() {
		v, err := scan(r)
		if err != nil {
			return nil, wrap(what, err)
		}
		list = append(list, v)
	}
	return list, wrap(what, r.Err())
}

// clock gives zero for zero and UTC otherwise.
func clock(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

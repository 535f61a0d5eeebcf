package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// Load puts the rows into an empty store. Nobody else should have the file open: it is
// then written directly, beside a journal that only has the pages of the empty file, by
// which that is what a crash leaves.
func (s *Store) Load(ctx context.Context, next func() (store.Row, error)) error {
	// They are closed, and opened again when they are needed.
	s.reader.SetMaxIdleConns(0)
	defer s.reader.SetMaxIdleConns(readers)
	for _, p := range []struct{ before, after string }{
		// Where another process has the file open it stays as it is, which is slower for
		// many rows and no less safe.
		{`PRAGMA journal_mode = delete`, `PRAGMA journal_mode = wal`},
		{`PRAGMA cache_size = -262144`, `PRAGMA cache_size = ` + cacheSize},
	} {
		s.pragma(ctx, p.before)
		defer s.pragma(ctx, p.after)
	}
	return s.DB.Load(ctx, next, nil)
}

// pragma sets what makes the writing connection only faster or slower.
func (s *Store) pragma(ctx context.Context, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.conn.ExecContext(context.WithoutCancel(ctx), text)
}

// changed notes in a transaction what it changes.
func (s *Store) changed(counties []muster.County) {
	s.all = s.all || len(counties) == 0
	for _, c := range counties {
		s.told[c] = true
	}
}

// tell tells those who watch of what was committed.
func (s *Store) tell() {
	switch {
	case s.all:
		s.watchers.Tell(nil)
	case len(s.told) > 0:
		s.watchers.Tell(slices.Sorted(maps.Keys(s.told)))
	}
}

// polled is how often Watch looks whether another process wrote.
const polled = time.Second

// Watch tells what changed.
func (s *Store) Watch(ctx context.Context) <-chan []muster.County {
	go func() {
		t := time.NewTicker(polled)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
			s.mu.Lock()
			// Where it fails so does the next commit, which says so.
			_ = s.refresh(ctx)
			s.mu.Unlock()
		}
	}()
	return s.watchers.Watch(ctx)
}

// Once runs do unless a job of that name runs now. The lock is SQLite's own on an empty
// file beside the store, so that it ends with the process that holds it.
func (s *Store) Once(ctx context.Context, job string, do func(context.Context) error) (ran bool, err error) {
	what := "lock job " + job
	path := fmt.Sprintf("%s.%s.lock", s.path, url.PathEscape(job))
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=busy_timeout(0)")
	if err != nil {
		return false, wrap(what, err)
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, wrap(what, err)
	}
	defer conn.Close()
	_, err = conn.ExecContext(ctx, `BEGIN EXCLUSIVE`)
	switch {
	case busy(err):
		return false, nil
	case err != nil:
		return false, wrap(what, err)
	}
	return true, do(ctx)
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var tables int
	return wrap("ask the store", s.reader.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&tables))
}

// About tells what the store is.
func (s *Store) About(ctx context.Context) (store.About, error) {
	a := store.About{Now: time.Now().UTC()}
	err := s.reader.QueryRowContext(ctx, `SELECT 'SQLite ' || sqlite_version(), (SELECT max(version_id) FROM goose_db_version)`).Scan(&a.Database, &a.Schema)
	for _, suffix := range []string{"", "-wal"} {
		if f, err := os.Stat(s.path + suffix); err == nil {
			a.Bytes += f.Size()
		}
	}
	return a, wrap("ask about the store", err)
}

// Package tables is what every SQL store of the collector has alike: what a commit
// changes, and how views are read. It writes SQL that SQLite and PostgreSQL both
// understand; store/sqlite and store/postgres own how each is opened, migrated, locked
// and written in bulk.
//
// The tables are described in the migrations of store/sqlite; those of store/postgres
// are the same. Parameters are $1, $2, …; booleans are 0 and 1; nothing is null.
package tables

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// Open is the until_at of what is not over.
const Open = math.MaxInt64

// Querier is a connection or a transaction.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// DB is a database as its owner has opened it. All of it is required.
type DB struct {
	store.Options
	// Read answers a question.
	Read Querier
	// Snapshot runs do, which only reads, on the database as it is at one instant.
	Snapshot func(ctx context.Context, what string, do func(Querier) error) error
	// Write runs do in one transaction, which is committed where do returns nil. No
	// other transaction of Write or Commit runs at that time, in any process.
	Write func(ctx context.Context, what string, do func(Querier) error) error
	// Wrap names the operation and gives the database's errors the names that callers
	// branch on.
	Wrap func(what string, err error) error
	// OfHost is the SQL for rows of reports, under an alias, that are of hosts h, as the
	// indexes by time have it.
	OfHost func(alias string) string
	// Indexes is the query for all indexes that guard nothing: their names, and the SQL
	// that makes them.
	Indexes string
	// Changed is told in Write which counties it changes, none for what concerns all;
	// nil where the database tells those who watch by itself.
	Changed func(counties []muster.County)

	sets      sets
	past      past
	effects   effects
	commonest atomic.Value // a policy, see spread
}

// changed tells Changed, unless nothing has.
func (d *DB) changed(counties []muster.County) {
	if d.Changed != nil && (counties == nil || len(counties) > 0) {
		d.Changed(counties)
	}
}

// stamp is now, for a column.
func (d *DB) stamp() int64 { return micros(d.Now()) }

// maxBack is how far a clock may be set back without a change of what was shown.
const maxBack = dayMicros

// Stamp is now for a transaction that changes hosts. What a roll-up counts is never
// changed later: where the clock was set back, Stamp is just after the newest one. Where
// that would be too far ahead the clock was wrong before, and those roll-ups go.
func (d *DB) Stamp(ctx context.Context, tx Querier) (int64, error) {
	var newest int64
	if err := tx.QueryRowContext(ctx, NewestRollup).Scan(&newest); err != nil {
		return 0, fmt.Errorf("read the newest roll-up: %w", err)
	}
	return d.StampAfter(ctx, tx, newest)
}

// NewestRollup is the query for when the newest one is.
const NewestRollup = `SELECT coalesce(max(at), 0) FROM rollups WHERE county = '' AND known = ''`

// StampAfter is Stamp for who has read NewestRollup in the transaction.
func (d *DB) StampAfter(ctx context.Context, tx Querier, newest int64) (int64, error) {
	now := d.stamp()
	switch {
	case newest < now:
		return now, nil
	case newest-now <= maxBack:
		return newest + 1, nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM rollups WHERE at >= $1`, now); err != nil {
		return 0, fmt.Errorf("let go of roll-ups of the future: %w", err)
	}
	return now, nil
}

// rows scans every row with scan.
func rows[T any](ctx context.Context, q Querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	r, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var list []T
	for r.Next() {
		v, err := scan(r)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, r.Err()
}

// one is an error that is sql.ErrNoRows where a statement changed nothing.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		return sql.ErrNoRows
	}
	return nil
}

// logEntry appends to the audit log.
func (d *DB) logEntry(ctx context.Context, tx Querier, e muster.LogEntry) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO audit_log (at, actor, action, object) VALUES ($1, $2, $3, $4)`,
		d.loggedAt(e), e.Actor, e.Action, e.Object)
	return err
}

// loggedAt is when the entry was made, for a column.
func (d *DB) loggedAt(e muster.LogEntry) int64 {
	if e.At.IsZero() {
		return d.stamp()
	}
	return micros(e.At)
}

// event notes what happened, for webhooks and live pages.
func (d *DB) event(ctx context.Context, tx Querier, e muster.Event) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO events (at, kind, county, host, text) VALUES ($1, $2, $3, $4, $5)`,
		micros(e.At), e.Kind, e.County, e.Host, e.Text)
	return err
}

// micros is 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// clock is the reverse of micros, in UTC.
func clock(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromSeconds(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// day of an instant in microseconds, counted from 1970.
func day(micros int64) int64 { return floorDiv(micros, dayMicros) }

const dayMicros = int64(24 * time.Hour / time.Microsecond)

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// month as evidence has it, such as 202611.
func month(t time.Time) int { return t.UTC().Year()*100 + int(t.UTC().Month()) }

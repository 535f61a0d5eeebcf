package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store/tables"
)

// commitTimeout bounds a Commit with all of its tries, so that nothing is committed
// more than a minute after its stamp.
const commitTimeout = 50 * time.Second

// Commit stores the reports in one transaction. Where the connection is lost before the
// database has answered, it tries again and finds what was stored.
func (s *Store) Commit(ctx context.Context, reports []muster.Accepted) ([]muster.Committed, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	clean(reports)
	var results []muster.Committed
	err := again(ctx, func(err error) bool { return passing(err) || errors.Is(err, errNotCertain) }, func() (err error) {
		results, err = s.commit(ctx, reports)
		if code(err) == noPartition {
			return errors.Join(err, s.addPartitions(ctx, s.monthsOf(reports)...))
		}
		return err
	})
	return results, wrap("commit reports", err)
}

func (s *Store) commit(ctx context.Context, reports []muster.Accepted) ([]muster.Committed, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	// One that is in a transaction is closed.
	defer conn.Close()
	var states map[muster.HostID]*tables.State
	var newest int64
	if err := raw(conn, func(c *pgx.Conn) (err error) {
		states, newest, err = begin(ctx, c, reports)
		return err
	}); err != nil {
		return nil, err
	}
	for _, state := range states {
		if err := s.Complete(ctx, conn, state.Open); err != nil {
			return nil, err
		}
	}
	subjects, err := s.Subjects(ctx, conn, reports, func(id muster.HostID) *tables.State { return states[id] })
	if err != nil {
		return nil, err
	}
	stamp, err := s.StampAfter(ctx, conn, newest)
	if err != nil {
		return nil, err
	}
	p, err := s.Plan(stamp, subjects, reports)
	if err != nil {
		return nil, err
	}
	rest := len(p.Retold)+len(p.Matching) > 0
	if err := raw(conn, func(c *pgx.Conn) error { return write(ctx, c, p, !rest) }); err != nil || !rest {
		return p.Results, err
	}
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, lockRest); err != nil {
		return nil, err
	}
	if err := s.Rest(ctx, conn, p); err != nil {
		return nil, err
	}
	return p.Results, raw(conn, func(c *pgx.Conn) error { return finish(ctx, c, &pgx.Batch{}) })
}

// raw gives the connection as pgx has it.
func raw(conn *sql.Conn, do func(*pgx.Conn) error) error {
	return conn.Raw(func(c any) error { return do(c.(*stdlib.Conn).Conn()) })
}

// begin opens the transaction, in which nobody else writes these hosts, and reads them
// and when the newest roll-up is.
func begin(ctx context.Context, c *pgx.Conn, reports []muster.Accepted) (_ map[muster.HostID]*tables.State, newest int64, _ error) {
	var ids []string
	for i := range reports {
		ids = append(ids, string(reports[i].Header.Host))
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	b := &pgx.Batch{}
	b.Queue(`BEGIN`)
	b.Queue(`SELECT pg_advisory_xact_lock_shared($1)`, lockWrite)
	b.Queue(`SELECT FROM hosts WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE`, ids)
	states := make(map[muster.HostID]*tables.State, len(ids))
	// Only a statement that begins after the locks are held sees what others did before.
	b.Queue(`SELECT `+tables.StateColumns+` FROM hosts h JOIN versions v ON v.host = h.id AND v.n = h.version
		WHERE h.id = ANY ($1)`, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			state, err := tables.ScanState(row{rows})
			if err != nil {
				return err
			}
			states[state.Open.Host] = state
		}
		return rows.Err()
	})
	b.Queue(tables.NewestRollup).QueryRow(func(r pgx.Row) error { return r.Scan(&newest) })
	err := c.SendBatch(ctx, b).Close()
	return states, newest, err
}

// write writes the plan, and where this is all commits it in the same round trip.
func write(ctx context.Context, c *pgx.Conn, p *tables.Plan, all bool) error {
	b := &pgx.Batch{}
	closed := make([]any, 0, 3*len(p.Closed))
	for _, v := range p.Closed {
		closed = append(closed, string(v.Host), v.N, v.Until)
	}
	queue(b, 3, closed, `UPDATE versions SET until_at = a3 FROM %s WHERE host = a1 AND n = a2`)
	for _, t := range p.Inserts() {
		queue(b, strings.Count(t.Into, ",")+1, t.Args, `INSERT INTO `+t.Into+` SELECT * FROM %s `+t.Suffix)
	}
	var heard, shown []any
	for _, h := range p.Heard {
		heard = append(heard, h.Heard()...)
	}
	for _, h := range p.Shown {
		shown = append(shown, h.Shown()...)
	}
	const update = `UPDATE hosts SET seq = a1, digest = a2, first_seen = a3, last_seen = a4, collected_at = a5,
		about_at = a6, received = a7, declared = a8, stale_at = a9, version = a11`
	queue(b, 11, heard, update+` FROM %s WHERE id = a10`)
	queue(b, 19, shown, update+`, stale_day = a12, replaced_at = a13, county = a14, state = a15, profile = a16,
		clone = a17, replaced_by = a18, policy_digest = a19 FROM %s WHERE id = a10`)
	if all {
		return finish(ctx, c, b)
	}
	return c.SendBatch(ctx, b).Close()
}

// finish sends what is left and commits.
func finish(ctx context.Context, c *pgx.Conn, b *pgx.Batch) error {
	notes := c.PgConn().CustomData()
	delete(notes, warned)
	b.Queue(`COMMIT`)
	err := c.SendBatch(ctx, b).Close()
	switch {
	case err == nil && notes[warned] != nil:
		return errNotCertain
	case err != nil && (code(err) == "" || c.IsClosed()):
		return errors.Join(errNotCertain, err)
	}
	return err
}

// queue adds a statement that reads rows of as many columns from %s, where they are
// a1, a2, …. Without rows it adds nothing.
func queue(b *pgx.Batch, columns int, values []any, statement string) {
	if len(values) == 0 {
		return
	}
	arrays, types, names := make([]any, columns), make([]string, columns), make([]string, columns)
	for i := range columns {
		names[i] = fmt.Sprintf("a%d", i+1)
		switch values[i].(type) {
		case string:
			arrays[i], types[i] = column[string](values[i:], columns), fmt.Sprintf("$%d::text[]", i+1)
		case []byte:
			arrays[i], types[i] = column[[]byte](values[i:], columns), fmt.Sprintf("$%d::bytea[]", i+1)
		default:
			arrays[i], types[i] = numbers(values[i:], columns), fmt.Sprintf("$%d::bigint[]", i+1)
		}
	}
	b.Queue(fmt.Sprintf(statement, "unnest("+strings.Join(types, ", ")+") AS given("+strings.Join(names, ", ")+")"), arrays...)
}

// column takes every nth value.
func column[T any](values []any, n int) []T {
	list := make([]T, 0, len(values)/n+1)
	for i := 0; i < len(values); i += n {
		list = append(list, values[i].(T))
	}
	return list
}

func numbers(values []any, n int) []int64 {
	list := make([]int64, 0, len(values)/n+1)
	for i := 0; i < len(values); i += n {
		switch v := values[i].(type) {
		case int:
			list = append(list, int64(v))
		default:
			list = append(list, v.(int64))
		}
	}
	return list
}

// row scans numbers into booleans, as database/sql does.
type row struct{ pgx.Rows }

func (r row) Scan(dest ...any) error {
	for i := range dest {
		if b, ok := dest[i].(*bool); ok {
			dest[i] = (*bit)(b)
		}
	}
	return r.Rows.Scan(dest...)
}

type bit bool

// ScanInt64 is for pgx.
func (b *bit) ScanInt64(v pgtype.Int8) error {
	*b = v.Int64 != 0
	return nil
}

// clean makes text that PostgreSQL takes, so that one report never fails a batch.
func clean(reports []muster.Accepted) {
	for i := range reports {
		h := &reports[i].Header
		for _, s := range []*string{&h.Hostname, &h.Agent, &h.PolicyRevision, &h.PolicyDigest} {
			*s = text(*s)
		}
		for j := range reports[i].Verdicts {
			v := &reports[i].Verdicts[j]
			v.Control, v.Waiver = text(v.Control), text(v.Waiver)
		}
	}
}

func text(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/tables"
)

// Load puts the rows into an empty store, of whichever database they are.
func (s *Store) Load(ctx context.Context, next func() (store.Row, error)) error {
	err := s.write(ctx, "load the store", func(tx tables.Querier) error {
		// It lasts as long as it lasts: nobody else has begun to write.
		if _, err := tx.ExecContext(ctx, `SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
			SET LOCAL maintenance_work_mem = '256MB'`); err != nil {
			return err
		}
		restore, err := s.Emptied(ctx, tx)
		if err != nil {
			return err
		}
		if err := copyAll(ctx, tx, next); err != nil {
			return err
		}
		if err := restore(); err != nil {
			return err
		}
		// New rows are numbered from there on.
		for _, table := range []string{"events", "audit_log"} {
			if _, err := tx.ExecContext(ctx, `SELECT setval(pg_get_serial_sequence('`+table+`', 'id'), max(id)) FROM `+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return wrap("analyze what was loaded", s.settle(ctx))
}

// settle gathers statistics, without which the first questions would take the longest
// ways, and marks pages on which every row is there for all, which else each first reader
// of a page would write.
func (s *Store) settle(ctx context.Context) error {
	c, err := pgx.ConnectConfig(ctx, s.single)
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, `SET statement_timeout = 0`)
	if err == nil {
		_, err = c.Exec(ctx, `VACUUM (ANALYZE)`)
	}
	return errors.Join(err, c.Close(context.WithoutCancel(ctx)))
}

// copyAll copies a run of rows of one table after the other.
func copyAll(ctx context.Context, tx tables.Querier, next func() (store.Row, error)) error {
	conn, ok := tx.(*sql.Conn)
	if !ok {
		return fmt.Errorf("copy rows: a transaction of type %T", tx)
	}
	r := &run{next: next}
	for r.pull(); r.err == nil; {
		if err := tables.Check(r.row); err != nil {
			return err
		}
		r.table, r.columns, r.started = r.row.Table, r.row.Columns, false
		if m, ok := r.month(); ok {
			r.months = append(r.months, m)
			if err := addPartitions(ctx, tx, []int{m}); err != nil {
				return err
			}
		}
		err := raw(conn, func(c *pgx.Conn) error {
			_, err := c.CopyFrom(ctx, pgx.Identifier{r.table}, r.columns, r)
			return err
		})
		if err != nil {
			return fmt.Errorf("copy into %s: %w", r.table, err)
		}
	}
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// run is the pgx.CopyFromSource of the rows that follow each other in one table. It
// ends where an envelope is of a month that has no partition yet.
type run struct {
	next    func() (store.Row, error)
	row     store.Row // the next one, unless err is set
	err     error
	table   string
	columns []string
	started bool
	months  []int // that have a partition
}

func (r *run) pull() { r.row, r.err = r.next() }

// month of an envelope that has no partition yet.
func (r *run) month() (m int, missing bool) {
	i := slices.Index(r.row.Columns, "month")
	if r.row.Table != "evidence" || i < 0 || i >= len(r.row.Values) {
		return 0, false
	}
	v, ok := r.row.Values[i].(int64)
	return int(v), ok && !slices.Contains(r.months, int(v))
}

// Next is asked before each row, the first one included.
func (r *run) Next() bool {
	if r.started {
		r.pull()
	}
	r.started = true
	_, missing := r.month()
	return r.err == nil && r.row.Table == r.table && slices.Equal(r.row.Columns, r.columns) && !missing
}

// Values of the row, as Next found it.
func (r *run) Values() ([]any, error) {
	if len(r.row.Values) != len(r.columns) {
		return nil, fmt.Errorf("a row has %d values: the backup is damaged", len(r.row.Values))
	}
	values := make([]any, len(r.row.Values))
	for i, v := range r.row.Values {
		switch v := v.(type) {
		case string:
			values[i] = text(v)
		case []byte:
			values[i] = append([]byte{}, v...)
		case int64:
			values[i] = v
		default:
			return nil, fmt.Errorf("a value of type %T: the backup is damaged", v)
		}
	}
	return values, nil
}

// Err is for what breaks a run off; the end of all rows does not.
func (r *run) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

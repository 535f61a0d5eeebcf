package tables

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/passmuster/muster/collector/store"
)

// dumped are all tables with their columns, but for numbers that each database gives
// by itself, and the order in which these are given.
var dumped = []struct{ table, columns, order string }{
	{"control_sets", "digest, controls", ""},
	{"hosts", `id, public_key, enrolled_at, made_at, waits, node, left_nodes, machine, replaced_at, audit_wanted, version, county, state,
		profile, clone, replaced_by, policy_digest, seq, digest, first_seen, last_seen, collected_at, about_at, received, declared,
		stale_at, stale_day`, ""},
	{"residents", "county, host", ""},
	{"versions", unqualified(VersionColumns, "v"), ""},
	{"reports", unqualified(LineColumns, "r"), ""},
	{"evidence", "host, seq, month, base, base_seq, depth, size, body", ""},
	{"silences", "host, from_at, until_at", ""},
	{"rollups", "county, known, at, hosts, meeting, failing, unknown, stale, pending, missing, invented, controls, quiet", ""},
	{"retold", "county, day", ""},
	{"expected", "county, name, from_at, until_at, since, shown, profile, note, host", ""},
	{"contacts", "county, n, name, duty, phone, email", ""},
	{"asks", "county, id, host, control, reason, until_at, by, at, state, answer, answered_by, answered_at", ""},
	{"rings", "county, host, ring", ""},
	{"custody", "host, file, at, act, by, from_seq, to_seq", "id"},
	{"policies", "version, revision, digest, contents, ring, paused, actor, published_at, bundle", ""},
	{"tickets", "kind, digest, value, until_at", ""},
	{"events", "id, at, kind, county, host, text, sent", "id"},
	{"deliveries", "hook, event, attempts, next_at, done_at, status, error", ""},
	{"audit_log", "id, at, actor, action, object", "id"},
}

// Dump gives every row of every table as they are at one instant.
func (d *DB) Dump(ctx context.Context, row func(store.Row) error) error {
	return d.Snapshot(ctx, "dump the store", func(q Querier) error {
		for _, t := range dumped {
			query := `SELECT ` + t.columns + ` FROM ` + t.table
			if t.order != "" {
				query += ` ORDER BY ` + t.order
			}
			if err := dump(ctx, q, t.table, query, row); err != nil {
				return fmt.Errorf("table %s: %w", t.table, err)
			}
		}
		return nil
	})
}

func dump(ctx context.Context, q Querier, table, query string, row func(store.Row) error) error {
	r, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer r.Close()
	columns, err := r.Columns()
	if err != nil {
		return err
	}
	targets := make([]any, len(columns))
	for r.Next() {
		values := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := r.Scan(targets...); err != nil {
			return err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok {
				values[i] = some(b)
			}
		}
		if err := row(store.Row{Table: table, Columns: columns, Values: values}); err != nil {
			return err
		}
	}
	return r.Err()
}

// Load puts the rows into an empty store, all or none. after ends the transaction, such
// as by counting on from the numbers that came; nil for nothing.
func (d *DB) Load(ctx context.Context, next func() (store.Row, error), after func(Querier) error) error {
	return d.Write(ctx, "load the store", func(tx Querier) error {
		restore, err := d.Emptied(ctx, tx)
		if err != nil {
			return err
		}
		l := loader{ctx: ctx, tx: tx}
		for {
			r, err := next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				err = l.add(r)
			}
			if err != nil {
				return err
			}
		}
		d.changed(nil)
		if err := l.flush(); err != nil {
			return err
		}
		if err := restore(); err != nil || after == nil {
			return err
		}
		return after(tx)
	})
}

// Emptied makes sure that no table has a row, and takes away their indexes, which are
// made much sooner of all rows at once: by restore.
func (d *DB) Emptied(ctx context.Context, tx Querier) (restore func() error, err error) {
	if err := d.empty(ctx, tx); err != nil {
		return nil, err
	}
	type index struct{ name, sql string }
	list, err := rows(ctx, tx, func(r *sql.Rows) (i index, err error) { return i, r.Scan(&i.name, &i.sql) }, d.Indexes)
	if err != nil {
		return nil, fmt.Errorf("read indexes: %w", err)
	}
	for _, i := range list {
		if _, err := tx.ExecContext(ctx, `DROP INDEX `+i.name); err != nil {
			return nil, fmt.Errorf("drop index %s: %w", i.name, err)
		}
	}
	return func() error {
		for _, i := range list {
			if _, err := tx.ExecContext(ctx, i.sql); err != nil {
				return fmt.Errorf("make index %s: %w", i.name, err)
			}
		}
		return nil
	}, nil
}

// empty is an error where any table has a row.
func (d *DB) empty(ctx context.Context, tx Querier) error {
	for _, t := range dumped {
		var n int
		err := tx.QueryRowContext(ctx, `SELECT 1 FROM `+t.table+` LIMIT 1`).Scan(&n)
		if err == nil {
			return fmt.Errorf("it is not empty (%s has rows): load into a new store", t.table)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("table %s: %w", t.table, err)
		}
	}
	return nil
}

// Check is an error where a row is none of this release's tables.
func Check(r store.Row) error {
	i := slices.IndexFunc(dumped, func(t struct{ table, columns, order string }) bool { return t.table == r.Table })
	if i < 0 {
		return fmt.Errorf("table %q is not one of this release: use the release that made the backup, or a newer one", r.Table)
	}
	columns := strings.Split(strings.Join(strings.Fields(dumped[i].columns), ""), ",")
	if !slices.Equal(columns, r.Columns) || len(r.Values) != len(columns) {
		return fmt.Errorf("table %s has other columns than in this release: use the release that made the backup", r.Table)
	}
	return nil
}

// loader gathers rows of one table.
type loader struct {
	ctx     context.Context
	tx      Querier
	table   string
	columns []string
	args    []any
	size    int
	// most is how many args the statement takes that nearly all rows are written by.
	most      int
	statement string
}

// maxLoad bounds the bytes that are gathered.
const maxLoad = 1 << 20

func (l *loader) add(r store.Row) error {
	other := r.Table != l.table || !slices.Equal(r.Columns, l.columns)
	if other || len(r.Values) != len(l.columns) {
		if err := Check(r); err != nil {
			return err
		}
	}
	if other || len(l.args) >= l.most || l.size > maxLoad {
		if err := l.flush(); err != nil {
			return err
		}
	}
	if other {
		l.table, l.columns = r.Table, r.Columns
		n := maxArgs / len(r.Columns)
		l.most, l.statement = n*len(r.Columns), insertion(l.into(), len(r.Columns), n, "")
	}
	for i, v := range r.Values {
		switch v := v.(type) {
		case []byte:
			r.Values[i] = some(v)
			l.size += len(v)
		case string:
			l.size += len(v)
		case int64:
		default:
			return fmt.Errorf("table %s has a value of type %T: the backup is damaged", r.Table, v)
		}
	}
	l.args = append(l.args, r.Values...)
	return nil
}

func (l *loader) into() string { return l.table + " (" + strings.Join(l.columns, ", ") + ")" }

func (l *loader) flush() (err error) {
	if len(l.args) > 0 && len(l.args) == l.most {
		if _, err = l.tx.ExecContext(l.ctx, l.statement, l.args...); err != nil {
			err = fmt.Errorf("write to %s: %w", l.table, err)
		}
	} else {
		err = insert(l.ctx, l.tx, l.into(), l.args, "")
	}
	l.args, l.size = l.args[:0], 0
	return err
}

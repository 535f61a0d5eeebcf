package tables

import (
	"context"
	"database/sql"

	"github.com/passmuster/muster"
)

// distributed is how many events one transaction of Distribute takes.
const distributed = 500

// Distribute makes the deliveries of each event that none were made of yet.
func (d *DB) Distribute(ctx context.Context, hooks func(muster.Event) []string) error {
	for {
		list, err := rows(ctx, d.Read, func(r *sql.Rows) (e muster.Event, err error) {
			var at int64
			err = r.Scan(&e.ID, &at, &e.Kind, &e.County, &e.Host, &e.Text)
			e.At = clock(at)
			return e, err
		}, `SELECT id, at, kind, county, host, text FROM events WHERE sent = 0 ORDER BY id LIMIT $1`, distributed)
		if err != nil || len(list) == 0 {
			return d.Wrap("read new events", err)
		}
		err = d.Write(ctx, "distribute events", func(tx Querier) error {
			var args []any
			for _, e := range list {
				// Another process may have been faster, and have delivered it since.
				res, err := tx.ExecContext(ctx, `UPDATE events SET sent = 1 WHERE id = $1 AND sent = 0`, e.ID)
				if err != nil {
					return err
				}
				if n, err := res.RowsAffected(); err != nil {
					return err
				} else if n == 0 {
					continue
				}
				for _, hook := range hooks(e) {
					args = append(args, hook, e.ID, d.stamp())
				}
			}
			return insert(ctx, tx, `deliveries (hook, event, next_at)`, args, `ON CONFLICT DO NOTHING`)
		})
		if err != nil {
			return err
		}
	}
}

func (d *DB) deliveries(ctx context.Context, what, where string, args ...any) ([]muster.Delivery, error) {
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (v muster.Delivery, err error) {
		var at, next, done int64
		err = r.Scan(&v.ID, &at, &v.Kind, &v.County, &v.Host, &v.Text, &v.Hook, &v.Attempts, &next, &done, &v.Status, &v.Error)
		v.At, v.NextAt, v.Done = clock(at), clock(next), clock(done)
		return v, err
	}, `SELECT e.id, e.at, e.kind, e.county, e.host, e.text, d.hook, d.attempts, d.next_at, d.done_at, d.status, d.error
		FROM deliveries d JOIN events e ON e.id = d.event `+where, args...)
	return list, d.Wrap(what, err)
}

// Due are deliveries whose time has come, the oldest first.
func (d *DB) Due(ctx context.Context, limit int) ([]muster.Delivery, error) {
	return d.deliveries(ctx, "read due deliveries", `JOIN (
			SELECT hook, event, row_number() OVER (PARTITION BY hook ORDER BY next_at, event) AS place
			FROM deliveries WHERE next_at <> 0 AND next_at <= $1
		) p ON p.hook = d.hook AND p.event = d.event AND p.place <= $2
		ORDER BY d.next_at, d.event, d.hook`, d.stamp(), limit)
}

// Delivered keeps what became of an attempt.
func (d *DB) Delivered(ctx context.Context, v muster.Delivery) error {
	return d.Write(ctx, "keep a delivery", func(tx Querier) error {
		return one(tx.ExecContext(ctx, `UPDATE deliveries SET attempts = $1, next_at = $2, done_at = $3, status = $4, error = $5
			WHERE hook = $6 AND event = $7`, v.Attempts, micros(v.NextAt), micros(v.Done), v.Status, v.Error, v.Hook, v.ID))
	})
}

// Deliveries returns the newest first, of one hook or with "" of all.
func (d *DB) Deliveries(ctx context.Context, hook string, limit int) ([]muster.Delivery, error) {
	return d.deliveries(ctx, "read deliveries", `WHERE $1 = '' OR d.hook = $1 ORDER BY d.event DESC, d.hook LIMIT $2`, hook, limit)
}

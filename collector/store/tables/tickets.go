package tables

import (
	"context"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// PutTicket keeps a secret's digest and what it opens.
func (d *DB) PutTicket(ctx context.Context, t store.Ticket) error {
	return d.Write(ctx, "keep a ticket", func(tx Querier) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO tickets (kind, digest, value, until_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (kind, digest) DO UPDATE SET value = excluded.value, until_at = excluded.until_at`,
			t.Kind, t.Digest[:], some(t.Value), micros(t.Until))
		return err
	})
}

// Ticket returns one that is not out of date, and with take removes it.
func (d *DB) Ticket(ctx context.Context, kind string, digest muster.Digest, take bool) (store.Ticket, error) {
	t := store.Ticket{Kind: kind, Digest: digest}
	read := func(q Querier, query string) error {
		var until int64
		err := q.QueryRowContext(ctx, query, kind, digest[:], d.stamp()).Scan(&t.Value, &until)
		t.Until = clock(until)
		return err
	}
	const what = "find a ticket"
	if !take {
		return t, d.Wrap(what, read(d.Read, `SELECT value, until_at FROM tickets WHERE kind = $1 AND digest = $2 AND until_at > $3`))
	}
	return t, d.Write(ctx, what, func(tx Querier) error {
		return read(tx, `DELETE FROM tickets WHERE kind = $1 AND digest = $2 AND until_at > $3 RETURNING value, until_at`)
	})
}

package tables

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// Base finds an envelope by digest among the host's newest.
func (d *DB) Base(ctx context.Context, host muster.HostID, digest muster.Digest) ([]muster.StoredEnvelope, error) {
	// SQLite would plan a prepared statement anew for every LIMIT that is a parameter.
	return d.chain(ctx, host, fmt.Sprintf(`SELECT n.seq FROM (
		SELECT seq, digest FROM reports WHERE host = $1 ORDER BY seq DESC LIMIT %d
	) n WHERE n.digest = $2`, store.BaseWindow), digest[:])
}

// Envelope returns a stored report and what it takes to open it.
func (d *DB) Envelope(ctx context.Context, host muster.HostID, seq uint64) ([]muster.StoredEnvelope, error) {
	if seq == 0 {
		return d.chain(ctx, host, `SELECT max(seq) FROM evidence WHERE host = $1`)
	}
	return d.chain(ctx, host, `$2`, int64(seq))
}

// chain walks from the number that first selects down to a report that rests
// on no stored one.
func (d *DB) chain(ctx context.Context, host muster.HostID, first string, args ...any) ([]muster.StoredEnvelope, error) {
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (e muster.StoredEnvelope, err error) {
		var digest, base []byte
		err = r.Scan(&e.Seq, &digest, &base, &e.BaseSeq, &e.Depth, &e.Month, &e.Size, &e.Body)
		copy(e.Digest[:], digest)
		copy(e.Base[:], base)
		return e, err
	}, `WITH RECURSIVE link (seq, base, base_seq, depth, month, size, body) AS (
			SELECT seq, base, base_seq, depth, month, size, body FROM evidence WHERE host = $1 AND seq = (`+first+`)
			UNION ALL
			SELECT e.seq, e.base, e.base_seq, e.depth, e.month, e.size, e.body
			FROM link JOIN evidence e ON e.host = $1 AND e.seq = link.base_seq AND e.seq < link.seq
		) SELECT link.seq, r.digest, link.base, link.base_seq, link.depth, link.month, link.size, link.body
		FROM link JOIN reports r ON r.host = $1 AND r.seq = link.seq ORDER BY link.seq DESC`, append([]any{string(host)}, args...)...)
	if err == nil && len(list) == 0 {
		err = sql.ErrNoRows
	}
	return list, d.Wrap("read reports of "+string(host), err)
}

// retained is how many rows one transaction of Retain lets go of.
const retained = 2000

// Retain lets go of the evidence of the months that ended before cutoff, of tickets
// that are out of date, and of deliveries that ended before it. Each
// transaction is short, so that reports need not wait.
func (d *DB) Retain(ctx context.Context, cutoff time.Time) (envelopes int, err error) {
	for _, t := range []struct {
		query    string
		args     []any
		evidence bool
	}{
		{`DELETE FROM evidence WHERE (host, seq) IN (SELECT host, seq FROM evidence WHERE month < $1 LIMIT $2)`,
			[]any{month(cutoff)}, true},
		{`DELETE FROM tickets WHERE (kind, digest) IN (SELECT kind, digest FROM tickets WHERE until_at <= $1 LIMIT $2)`,
			[]any{d.stamp()}, false},
		{`DELETE FROM deliveries WHERE (hook, event) IN (SELECT hook, event FROM deliveries WHERE next_at = 0 AND (
			done_at > 0 AND done_at < $1 OR done_at = 0 AND event IN (SELECT id FROM events WHERE at < $1)) LIMIT $2)`,
			[]any{micros(cutoff)}, false},
	} {
		for more := true; more; {
			err := d.Write(ctx, "let go of what is old", func(tx Querier) error {
				res, err := tx.ExecContext(ctx, t.query, append(t.args, retained)...)
				if err != nil {
					return err
				}
				n, err := res.RowsAffected()
				if t.evidence {
					envelopes += int(n)
				}
				more = n == retained
				return err
			})
			if err != nil {
				return envelopes, err
			}
		}
	}
	return envelopes, nil
}

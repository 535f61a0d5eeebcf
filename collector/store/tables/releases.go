package tables

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/passmuster/muster"
)

// Publish keeps a release and logs it.
func (d *DB) Publish(ctx context.Context, r muster.Release) error {
	return d.Write(ctx, "publish policy "+r.Revision, func(tx Querier) error {
		var highest int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM policies`).Scan(&highest); err != nil {
			return err
		}
		if r.Version <= highest {
			return fmt.Errorf("a policy of version %d %w, and hosts would refuse version %d: build it with a higher one", highest, fs.ErrExist, r.Version)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO policies (version, revision, digest, contents, ring, paused, actor, published_at, bundle)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			r.Version, r.Revision, r.Digest, r.Policy, string(r.Ring), bit(r.Paused), r.Actor, micros(r.Published), some(r.Bundle))
		if err != nil {
			return err
		}
		text := fmt.Sprintf("version %d (%s) to %s", r.Version, r.Revision, r.Ring)
		if r.Paused {
			text = fmt.Sprintf("version %d (%s), offered to nobody yet", r.Version, r.Revision)
		}
		return d.published(ctx, tx, "policy "+text, muster.LogEntry{At: r.Published, Actor: r.Actor, Action: "publish_policy", Object: text})
	})
}

// published logs and tells what became of a policy.
func (d *DB) published(ctx context.Context, tx Querier, text string, e muster.LogEntry) error {
	d.changed(nil)
	if err := d.event(ctx, tx, muster.Event{At: clock(d.stamp()), Kind: muster.EventPublished, Text: text}); err != nil {
		return err
	}
	return d.logEntry(ctx, tx, e)
}

// Releases are all that were published.
func (d *DB) Releases(ctx context.Context) ([]muster.Release, error) {
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (p muster.Release, err error) {
		var at int64
		err = r.Scan(&p.Version, &p.Revision, &p.Digest, &p.Policy, &p.Ring, &p.Paused, &p.Actor, &at)
		p.Published = clock(at)
		return p, err
	}, `SELECT version, revision, digest, contents, ring, paused, actor, published_at FROM policies ORDER BY version DESC`)
	return list, d.Wrap("read policies", err)
}

// Bundle returns the bytes of a release.
func (d *DB) Bundle(ctx context.Context, version int64) (bundle []byte, err error) {
	err = d.Read.QueryRowContext(ctx, `SELECT bundle FROM policies WHERE version = $1`, version).Scan(&bundle)
	return bundle, d.Wrap(fmt.Sprintf("read policy version %d", version), err)
}

// Roll offers a release as far as a ring, or pauses it, and logs it.
func (d *DB) Roll(ctx context.Context, version int64, ring muster.Ring, paused bool, e muster.LogEntry) error {
	return d.Write(ctx, fmt.Sprintf("roll policy version %d", version), func(tx Querier) error {
		err := one(tx.ExecContext(ctx, `UPDATE policies SET ring = $1, paused = $2 WHERE version = $3`, string(ring), bit(paused), version))
		if err != nil {
			return err
		}
		text := fmt.Sprintf("policy version %d is offered to %s", version, ring)
		if paused {
			text = fmt.Sprintf("policy version %d is paused", version)
		}
		return d.published(ctx, tx, text, e)
	})
}

// RingMembers are the counties and hosts that are in a ring of their own.
func (d *DB) RingMembers(ctx context.Context) ([]muster.RingMember, error) {
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (m muster.RingMember, err error) {
		return m, r.Scan(&m.County, &m.Host, &m.Ring)
	}, `SELECT county, host, ring FROM rings ORDER BY county, host`)
	return list, d.Wrap("read rings", err)
}

// SetRing puts a county or a host into a ring and logs it; no ring takes it out.
func (d *DB) SetRing(ctx context.Context, m muster.RingMember, e muster.LogEntry) error {
	return d.Write(ctx, "set ring", func(tx Querier) (err error) {
		if m.Ring == "" {
			_, err = tx.ExecContext(ctx, `DELETE FROM rings WHERE county = $1 AND host = $2`, string(m.County), string(m.Host))
		} else {
			_, err = tx.ExecContext(ctx, `INSERT INTO rings (county, host, ring) VALUES ($1, $2, $3)
				ON CONFLICT (county, host) DO UPDATE SET ring = excluded.ring`, string(m.County), string(m.Host), string(m.Ring))
		}
		if err != nil {
			return err
		}
		d.changed(nil)
		return d.logEntry(ctx, tx, e)
	})
}

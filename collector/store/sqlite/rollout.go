package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/passmuster/muster"
)

// Publish keeps a release and logs it. A version that is not above every other
// is an error that is fs.ErrExist.
func (s *Store) Publish(ctx context.Context, r muster.Release) error {
	return s.write(ctx, "publish policy "+r.Revision, func(tx *sql.Conn) error {
		var highest int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM policies`).Scan(&highest); err != nil {
			return err
		}
		if r.Version <= highest {
			return fmt.Errorf("a policy of version %d %w, and hosts would refuse version %d: build it with a higher one", highest, fs.ErrExist, r.Version)
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO policies (version, revision, digest, contents, ring, paused, actor, published_at, bundle)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.Version, r.Revision, r.Digest, r.Policy, r.Ring, r.Paused, r.Actor, unix(r.Published), r.Bundle)
		if err != nil {
			return err
		}
		return log(ctx, tx, muster.LogEntry{At: r.Published, Actor: r.Actor, Action: "publish_policy",
			Object: fmt.Sprintf("version %d (%s) to %s", r.Version, r.Revision, r.Ring)})
	})
}

// Releases are all that were published, the highest version first, without
// their bundles.
func (s *Store) Releases(ctx context.Context) ([]muster.Release, error) {
	return rows(ctx, s, "read policies", func(r *sql.Rows) (p muster.Release, err error) {
		var at int64
		err = r.Scan(&p.Version, &p.Revision, &p.Digest, &p.Policy, &p.Ring, &p.Paused, &p.Actor, &at)
		p.Published = clock(at)
		return p, err
	}, `SELECT version, revision, digest, contents, ring, paused, actor, published_at FROM policies ORDER BY version DESC`)
}

// Bundle returns the bytes of a release.
func (s *Store) Bundle(ctx context.Context, version int64) (bundle []byte, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT bundle FROM policies WHERE version = ?`, version).Scan(&bundle)
	return bundle, wrap(fmt.Sprintf("read policy version %d", version), err)
}

// Roll offers a release as far as a ring, or pauses it, and logs it.
func (s *Store) Roll(ctx context.Context, version int64, ring muster.Ring, paused bool, e muster.LogEntry) error {
	return s.write(ctx, fmt.Sprintf("roll policy version %d", version), func(tx *sql.Conn) error {
		done, err := tx.ExecContext(ctx, `UPDATE policies SET ring = ?, paused = ? WHERE version = ?`, ring, paused, version)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			if err == nil {
				err = sql.ErrNoRows
			}
			return err
		}
		return log(ctx, tx, e)
	})
}

// RingMembers are the counties and hosts that are in a ring of their own.
func (s *Store) RingMembers(ctx context.Context) ([]muster.RingMember, error) {
	return rows(ctx, s, "read rings", func(r *sql.Rows) (m muster.RingMember, err error) {
		err = r.Scan(&m.County, &m.Host, &m.Ring)
		return m, err
	}, `SELECT county, host, ring FROM rings ORDER BY county, host`)
}

// SetRing puts a county or a host into a ring and logs it; no ring takes it out.
func (s *Store) SetRing(ctx context.Context, m muster.RingMember, e muster.LogEntry) error {
	return s.write(ctx, "set ring", func(tx *sql.Conn) (err error) {
		if m.Ring == "" {
			_, err = tx.ExecContext(ctx, `DELETE FROM rings WHERE county = ? AND host = ?`, m.County, m.Host)
		} else {
			_, err = tx.ExecContext(ctx, `INSERT INTO rings (county, host, ring) VALUES (?, ?, ?)
				ON CONFLICT (county, host) DO UPDATE SET ring = excluded.ring`, m.County, m.Host, m.Ring)
		}
		if err != nil {
			return err
		}
		return log(ctx, tx, e)
	})
}

// PolicyUse counts active hosts by policy and ring.
func (s *Store) PolicyUse(ctx context.Context) ([]muster.PolicyUse, error) {
	return rows(ctx, s, "count hosts by policy", func(r *sql.Rows) (u muster.PolicyUse, err error) {
		err = r.Scan(&u.Policy, &u.Revision, &u.Ring, &u.Hosts)
		return u, err
	}, `SELECT h.policy_digest, max(h.policy), coalesce(own.ring, home.ring, 'all') AS ring, count(*)
		FROM hosts h
		LEFT JOIN rings own ON own.county = '' AND own.host = h.id
		LEFT JOIN rings home ON home.county = h.county AND home.host = ''
		WHERE `+counted+` GROUP BY h.policy_digest, coalesce(own.ring, home.ring, 'all')`)
}

// PolicyHosts are active hosts whose newest report was judged by the policy, by
// county and id, at most limit.
func (s *Store) PolicyHosts(ctx context.Context, policy string, limit int) ([]muster.HostStanding, error) {
	return s.hosts(ctx, "read hosts of policy "+policy,
		`WHERE `+counted+` AND h.policy_digest = ? ORDER BY h.county, h.id LIMIT ?`, policy, limit)
}

// PolicyEffect compares the last verdicts before a policy with the first under
// it, on the active hosts that judge by it now.
func (s *Store) PolicyEffect(ctx context.Context, policy string) (muster.PolicyEffect, error) {
	const took = `took AS (
		SELECT p.host, max(p.seq) AS seq FROM host_policies p JOIN hosts h ON h.id = p.host
		WHERE p.policy = ?1 AND h.policy_digest = ?1 AND ` + counted + `
			AND EXISTS (SELECT 1 FROM host_policies q WHERE q.host = p.host AND q.seq < p.seq)
		GROUP BY p.host)`
	var e muster.PolicyEffect
	err := s.reader.QueryRowContext(ctx, `WITH `+took+` SELECT count(*) FROM took`, policy).Scan(&e.Compared)
	if err != nil {
		return e, wrap("compare policy "+policy, err)
	}
	e.Changes, err = rows(ctx, s, "compare policy "+policy, func(r *sql.Rows) (c muster.PolicyChange, err error) {
		was := 0
		err = r.Scan(&c.Control, &was, &c.Became, &c.Hosts)
		c.New, c.Was = was < 0, muster.Status(max(was, 0))
		return c, err
	}, `WITH `+took+` SELECT t.control, t.was, t.became, count(*) FROM took
		JOIN transitions t ON t.host = took.host AND t.seq = took.seq
		GROUP BY t.control, t.was, t.became ORDER BY count(*) DESC, t.control, t.was, t.became`, policy)
	return e, err
}

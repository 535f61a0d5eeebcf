package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// Enroll keeps what a host says about itself.
func (s *Store) Enroll(ctx context.Context, e muster.Enrolled, approved bool, madeAt, at time.Time) (state muster.HostState, err error) {
	err = s.write(ctx, "enroll "+string(e.ID), func(tx *sql.Conn) error {
		var was muster.HostState
		var county muster.County
		var profile muster.Profile
		var since int64
		err := tx.QueryRowContext(ctx, `SELECT state, county, profile, made_at FROM hosts WHERE id = ?`, e.ID).
			Scan(&was, &county, &profile, &since)
		known := err == nil
		if err != nil && err != sql.ErrNoRows {
			return err
		}
		same := known && county == e.County && profile == e.Profile
		said := known && unix(madeAt) <= since
		if said && !same {
			return errOlder
		}
		state = muster.HostPending
		if approved || same && was == muster.HostActive {
			state = muster.HostActive
		}
		if state == muster.HostPending && was != muster.HostPending {
			var waiting int
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM hosts WHERE state = 'pending'`).Scan(&waiting); err != nil {
				return err
			}
			if waiting >= store.MaxPending {
				return muster.ErrPending
			}
		}
		switch {
		case said && state == was:
		case said:
			_, err = tx.ExecContext(ctx, `UPDATE hosts SET state = ? WHERE id = ?`, state, e.ID)
		default:
			_, err = tx.ExecContext(ctx, `
				INSERT INTO hosts (id, county, hostname, profile, platform, demo, public_key, state, enrolled_at, agent, made_at)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT (id) DO UPDATE SET state = excluded.state, county = excluded.county, hostname = excluded.hostname,
					profile = excluded.profile, platform = excluded.platform, demo = excluded.demo, agent = excluded.agent,
					made_at = excluded.made_at`,
				e.ID, e.County, e.Hostname, e.Profile, e.Platform, e.Demo, e.PublicKey, state, unix(at), e.Agent, unix(madeAt))
		}
		return err
	})
	return state, err
}

// errOlder is the fs.ErrExist of Enroll.
var errOlder = fmt.Errorf("a newer statement of the host %w: an older one moves it nowhere", fs.ErrExist)

// Approve makes a pending host active and logs it.
func (s *Store) Approve(ctx context.Context, id muster.HostID, actor string, at time.Time) error {
	return s.write(ctx, "approve "+string(id), func(tx *sql.Conn) error {
		var was muster.HostState
		if err := tx.QueryRowContext(ctx, `SELECT state FROM hosts WHERE id = ?`, id).Scan(&was); err != nil {
			return err
		}
		if was == muster.HostActive {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `UPDATE hosts SET state = 'active' WHERE id = ?`, id); err != nil {
			return err
		}
		return log(ctx, tx, muster.LogEntry{At: at, Actor: actor, Action: "approve", Object: string(id)})
	})
}

// Enrolled returns the host's key and what it said of itself.
func (s *Store) Enrolled(ctx context.Context, id muster.HostID) (muster.Enrolled, error) {
	e := muster.Enrolled{Host: muster.Host{ID: id}}
	err := s.reader.QueryRowContext(ctx,
		`SELECT county, hostname, profile, platform, demo, public_key, state, agent FROM hosts WHERE id = ?`, id,
	).Scan(&e.County, &e.Hostname, &e.Profile, &e.Platform, &e.Demo, &e.PublicKey, &e.State, &e.Agent)
	return e, wrap("read host "+string(id), err)
}

// Log appends to the audit log.
func (s *Store) Log(ctx context.Context, e muster.LogEntry) error {
	return s.write(ctx, "log "+e.Action, func(tx *sql.Conn) error { return log(ctx, tx, e) })
}

func log(ctx context.Context, tx *sql.Conn, e muster.LogEntry) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO audit_log (at, actor, action, object) VALUES (?, ?, ?, ?)`,
		unix(e.At), e.Actor, e.Action, e.Object)
	return err
}

// AuditLog returns the newest entries first.
func (s *Store) AuditLog(ctx context.Context, limit int) ([]muster.LogEntry, error) {
	return rows(ctx, s, "read audit log", func(r *sql.Rows) (e muster.LogEntry, err error) {
		var at int64
		err = r.Scan(&at, &e.Actor, &e.Action, &e.Object)
		e.At = clock(at)
		return e, err
	}, `SELECT at, actor, action, object FROM audit_log ORDER BY id DESC LIMIT ?`, limit)
}

const envelopeColumns = `seq, digest, base, base_seq, depth, size, body`

// Base finds an envelope by digest among the host's newest.
func (s *Store) Base(ctx context.Context, host muster.HostID, digest muster.Digest) ([]muster.StoredEnvelope, error) {
	return s.chain(ctx, host, `SELECT seq FROM (
		SELECT seq, digest FROM envelopes WHERE host = ?1 ORDER BY seq DESC LIMIT ?2
	) WHERE digest = ?3`, store.BaseWindow, digest[:])
}

// Envelope returns a stored report and what it takes to open it.
func (s *Store) Envelope(ctx context.Context, host muster.HostID, seq uint64) ([]muster.StoredEnvelope, error) {
	if seq == 0 {
		return s.chain(ctx, host, `SELECT max(seq) FROM envelopes WHERE host = ?1`)
	}
	return s.chain(ctx, host, `VALUES (?2)`, int64(seq))
}

// chain walks from the number that first selects down to a report that rests
// on no stored one.
func (s *Store) chain(ctx context.Context, host muster.HostID, first string, args ...any) ([]muster.StoredEnvelope, error) {
	what := "read reports of " + string(host)
	list, err := rows(ctx, s, what, func(r *sql.Rows) (e muster.StoredEnvelope, err error) {
		var digest, base []byte
		err = r.Scan(&e.Seq, &digest, &base, &e.BaseSeq, &e.Depth, &e.Size, &e.Body)
		copy(e.Digest[:], digest)
		copy(e.Base[:], base)
		return e, err
	}, `WITH RECURSIVE link(`+envelopeColumns+`) AS (
			SELECT `+envelopeColumns+` FROM envelopes WHERE host = ?1 AND seq = (`+first+`)
			UNION ALL
			SELECT e.seq, e.digest, e.base, e.base_seq, e.depth, e.size, e.body
			FROM link JOIN envelopes e ON e.host = ?1 AND e.seq = link.base_seq AND e.seq < link.seq
		) SELECT `+envelopeColumns+` FROM link ORDER BY seq DESC`, append([]any{host}, args...)...)
	if err == nil && len(list) == 0 {
		err = wrap(what, sql.ErrNoRows)
	}
	return list, err
}

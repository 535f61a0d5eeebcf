package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"strings"
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
		var b store.Binding
		var left string
		err := tx.QueryRowContext(ctx, `SELECT state, county, profile, made_at, node, left_nodes, machine, clone FROM hosts WHERE id = ?`, e.ID).
			Scan(&was, &county, &profile, &since, &b.Node, &left, &b.Machine, &b.Clone)
		known := err == nil
		if err != nil && err != sql.ErrNoRows {
			return err
		}
		same := known && county == e.County && profile == e.Profile
		said := known && unix(madeAt) <= since
		if said && !same {
			return errOlder
		}
		b.Left = strings.Fields(left)
		before := b
		moved, first := b.Enroll(e.Node, e.Machine)
		state = muster.HostPending
		stays, held := same && was == muster.HostActive && !moved, false
		if approved && !stays {
			if held, err = taken(ctx, tx, e); err != nil {
				return err
			}
		}
		if stays || approved && !held {
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
		if err != nil {
			return err
		}
		delete(s.hot, e.ID)
		if _, err := tx.ExecContext(ctx, `UPDATE hosts SET node = ?, left_nodes = ?, machine = ?, clone = ? WHERE id = ?`,
			b.Node, strings.Join(b.Left, "\n"), b.Machine, b.Clone, e.ID); err != nil {
			return err
		}
		line := func(action, object string) error {
			return log(ctx, tx, muster.LogEntry{At: at, Actor: "host", Action: action, Object: object})
		}
		if first && before.Node != "" {
			err = line("rebind_host", fmt.Sprintf("%s from node %s to %s", e.ID, before.Node, b.Node))
		}
		if err == nil && b.Clone != before.Clone {
			err = log(ctx, tx, cloneFlagged(e.ID, b.Clone, at))
		}
		if err == nil && held && was != muster.HostPending {
			err = line("hold_host", fmt.Sprintf("%s comes from the node or the machine of another host", e.ID))
		}
		if err == nil && state == muster.HostActive && was != muster.HostActive {
			err = replace(ctx, tx, e.ID, "host", at)
		}
		return err
	})
	return state, err
}

// taken reports whether the node is another active host's, or the host comes without
// a node and names the machine of one that has one. A node is trusted with mail only:
// whoever has taken it over can make a key, and must not take the host's place by it.
func taken(ctx context.Context, tx *sql.Conn, e muster.Enrolled) (is bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM hosts h WHERE `+counted+` AND h.id <> ?1 AND h.node <> ''
		AND (h.node = ?2 OR ?2 = '' AND h.machine = ?3 AND h.machine <> '' AND h.county = ?4))`,
		e.ID, e.Node, e.Machine, e.County).Scan(&is)
	return is, err
}

// replace lets a host that became active take the place of those on its machine.
func replace(ctx context.Context, tx *sql.Conn, id muster.HostID, actor string, at time.Time) error {
	if _, err := tx.ExecContext(ctx, `UPDATE hosts SET replaced_by = '' WHERE id = ?`, id); err != nil {
		return err
	}
	// By its own clock, as far as that is known to be behind: or it would live on unseen.
	res, err := tx.ExecContext(ctx, `UPDATE hosts SET replaced_by = n.id,
			replaced_at = ?1 + iif(hosts.last_seen > 0, min(0, hosts.collected_at - hosts.last_seen), 0)
		FROM (SELECT id, machine, county FROM hosts WHERE id = ?2) n
		WHERE hosts.machine = n.machine AND hosts.machine <> '' AND hosts.county = n.county
			AND hosts.id <> n.id AND hosts.state = 'active' AND hosts.replaced_by = ''`, unix(at), id)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	return log(ctx, tx, muster.LogEntry{At: at, Actor: actor, Action: "replace_host", Object: string(id) + " has the machine of another host"})
}

// RequestAudit notes that someone wants an audit of an active host.
func (s *Store) RequestAudit(ctx context.Context, id muster.HostID, e muster.LogEntry) error {
	return s.write(ctx, "request an audit of "+string(id), func(tx *sql.Conn) error {
		res, err := tx.ExecContext(ctx, `UPDATE hosts SET audit_wanted = ? WHERE id = ? AND state = 'active'`, unix(e.At), id)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return sql.ErrNoRows
		}
		return log(ctx, tx, e)
	})
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
		if err := log(ctx, tx, muster.LogEntry{At: at, Actor: actor, Action: "approve", Object: string(id)}); err != nil {
			return err
		}
		return replace(ctx, tx, id, actor, at)
	})
}

// Enrolled returns the host's key and what it said of itself.
func (s *Store) Enrolled(ctx context.Context, id muster.HostID) (muster.Enrolled, error) {
	e := muster.Enrolled{Host: muster.Host{ID: id}}
	err := s.reader.QueryRowContext(ctx,
		`SELECT county, hostname, profile, platform, demo, public_key, state, agent, node, machine FROM hosts WHERE id = ?`, id,
	).Scan(&e.County, &e.Hostname, &e.Profile, &e.Platform, &e.Demo, &e.PublicKey, &e.State, &e.Agent, &e.Node, &e.Machine)
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

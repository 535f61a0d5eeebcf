package tables

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

// errOlder is the fs.ErrExist of Enroll.
var errOlder = fmt.Errorf("a newer statement of the host %w: an older one moves it nowhere", fs.ErrExist)

// known is what a hosts row has of a host's enrollment.
type known struct {
	store.Binding
	enrolledAt int64
	madeAt     int64
	waits      string
}

func (d *DB) known(ctx context.Context, tx Querier, id muster.HostID) (k known, err error) {
	var left string
	err = tx.QueryRowContext(ctx, `SELECT enrolled_at, made_at, waits, node, left_nodes, machine, clone FROM hosts WHERE id = $1`, string(id)).
		Scan(&k.enrolledAt, &k.madeAt, &k.waits, &k.Node, &left, &k.Machine, &k.Clone)
	k.Left = strings.Fields(left)
	return k, err
}

// Enroll keeps what a host says about itself.
func (d *DB) Enroll(ctx context.Context, e muster.Enrolled, approved bool, madeAt time.Time) (state muster.HostState, err error) {
	err = d.Write(ctx, "enroll "+string(e.ID), func(tx Querier) error {
		stamp, err := d.Stamp(ctx, tx)
		if err != nil {
			return err
		}
		p := newPlan(stamp)
		k, err := d.known(ctx, tx, e.ID)
		if err == sql.ErrNoRows {
			k = known{enrolledAt: p.now, madeAt: -1 << 62}
			err = d.insertHost(ctx, tx, e, p.now)
		}
		if err != nil {
			return err
		}
		h, err := d.subject(ctx, tx, p, e.ID)
		if err != nil {
			return err
		}
		state, err = d.enroll(ctx, tx, h, k, e, approved, seconds(madeAt))
		if err != nil {
			return err
		}
		return d.finish(ctx, tx, p, h)
	})
	return state, err
}

// insertHost makes the row of a host without a version, which the plan gives it.
func (d *DB) insertHost(ctx context.Context, tx Querier, e muster.Enrolled, now int64) error {
	staleAt := now + d.StaleAfter.Of(e.Profile).Microseconds() + 1
	_, err := tx.ExecContext(ctx, `INSERT INTO hosts (id, public_key, enrolled_at, made_at, waits, node, left_nodes, machine,
		replaced_at, audit_wanted, version, county, state, profile, clone, replaced_by, policy_digest, stale_at, stale_day)
		VALUES ($1, $2, $3, 0, '', '', '', '', 0, 0, 0, $4, 'pending', $5, '', '', '', $6, $7)`,
		string(e.ID), some(e.PublicKey), now, string(e.County), string(e.Profile), staleAt, day(staleAt))
	return err
}

// enroll plans the change of the host, and writes what no version has.
func (d *DB) enroll(ctx context.Context, tx Querier, h *subject, k known, e muster.Enrolled, approved bool, madeAt int64) (muster.HostState, error) {
	was := h.Open.State
	same := h.Open.County == e.County && h.Open.Profile == e.Profile
	said := madeAt <= k.madeAt
	if said && !same {
		return "", errOlder
	}
	if said && was == muster.HostRetired {
		return was, nil
	}
	before := k.Binding
	moved, first := k.Enroll(e.Node, e.Machine)

	state, waits := muster.HostPending, k.waits
	held := approved && (was == muster.HostRetired || was == muster.HostPending && k.waits == muster.WaitsRetired)
	switch {
	case same && was == muster.HostActive && !moved:
		state = was
	case held:
		waits = muster.WaitsRetired
	case approved:
		var err error
		if held, err = taken(ctx, tx, e); err != nil {
			return "", err
		}
		if waits = muster.WaitsHeld; !held {
			state = muster.HostActive
		}
	case was == muster.HostPending:
		// It waits as before.
	case was == muster.HostRetired:
		waits = muster.WaitsRetired
	case was == "":
		waits = muster.WaitsNew
	case !same:
		waits = muster.WaitsOther
	default:
		waits = muster.WaitsMoved
	}
	if state == muster.HostActive {
		waits = ""
	} else if was != muster.HostPending {
		if err := room(ctx, tx, e.ID); err != nil {
			return "", err
		}
	}

	r := h.Open.Registration
	if !said {
		r.County, r.Profile, r.Platform, r.Hostname, r.Demo, r.Agent = e.County, e.Profile, e.Platform, e.Hostname, e.Demo, e.Agent
		k.madeAt = madeAt
		if err := insert(ctx, tx, `residents (county, host)`, []any{string(e.County), string(e.ID)}, `ON CONFLICT DO NOTHING`); err != nil {
			return "", err
		}
	}
	r.State, r.Clone = state, k.Clone
	if state == muster.HostActive && was != muster.HostActive {
		r.ReplacedBy = ""
	}
	h.revise(r)
	if !same && h.was.Open.N > 0 {
		h.stale(max(h.LastSeen, k.enrolledAt) + d.StaleAfter.Of(e.Profile).Microseconds() + 1)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE hosts SET made_at = $1, waits = $2, node = $3, left_nodes = $4, machine = $5 WHERE id = $6`,
		k.madeAt, waits, k.Node, strings.Join(k.Left, "\n"), k.Machine, string(e.ID)); err != nil {
		return "", err
	}
	if first && before.Node != "" {
		h.log("host", "rebind_host", fmt.Sprintf("%s from node %s to %s", e.ID, before.Node, k.Node))
	}
	if k.Clone != before.Clone {
		h.flagged(k.Clone)
	}
	if held && was != muster.HostPending {
		h.log("host", "hold_host", fmt.Sprintf("%s: %s", e.ID, waits))
	}
	switch {
	case state == was:
	case state == muster.HostPending:
		h.event(muster.EventPending, h.name()+" waits for approval: "+waits)
	default:
		return state, d.activated(ctx, tx, h, k.Machine, "host")
	}
	return state, nil
}

// room is muster.ErrPending where no more hosts can wait.
func room(ctx context.Context, tx Querier, but muster.HostID) error {
	var waiting int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM hosts WHERE state = 'pending' AND id <> $1`, string(but)).Scan(&waiting)
	if err == nil && waiting >= store.MaxPending {
		err = muster.ErrPending
	}
	return err
}

// taken reports whether the node is another active host's, or the host comes without
// a node and names the machine of one that has one. A node is trusted with mail only:
// whoever has taken it over can make a key, and must not take the host's place by it.
func taken(ctx context.Context, tx Querier, e muster.Enrolled) (bool, error) {
	where, args := `node = $2 AND node <> ''`, []any{e.Node}
	if e.Node == "" {
		where, args = `machine = $2 AND machine <> '' AND county = $3 AND node <> ''`, []any{e.Machine, string(e.County)}
	}
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM hosts WHERE state = 'active' AND replaced_by = '' AND id <> $1 AND `+where,
		append([]any{string(e.ID)}, args...)...).Scan(&n)
	return n > 0, err
}

// activated lets a host that became active take the place of those on its machine.
func (d *DB) activated(ctx context.Context, tx Querier, h *subject, machine, actor string) error {
	h.event(muster.EventApproved, h.name()+" counts from now on")
	if machine == "" {
		return nil
	}
	old, err := rows(ctx, tx, func(r *sql.Rows) (id muster.HostID, err error) { return id, r.Scan(&id) },
		`SELECT id FROM hosts WHERE machine = $1 AND machine <> '' AND county = $2 AND id <> $3
		AND state = 'active' AND replaced_by = '' ORDER BY id`, machine, string(h.Open.County), string(h.Host))
	if err != nil || len(old) == 0 {
		return err
	}
	for _, id := range old {
		o, err := d.subject(ctx, tx, h.plan, id)
		if err != nil {
			return err
		}
		r := o.Open.Registration
		r.ReplacedBy = h.Host
		o.revise(r)
		o.ReplacedAt = o.stamp / 1e6
		if o.LastSeen > 0 {
			// By its own clock, as far as that is known to be behind: or it would live on unseen.
			o.ReplacedAt += min(0, o.CollectedAt-o.LastSeen/1e6)
		}
		o.event(muster.EventReplaced, fmt.Sprintf("%s took the place of %s on the same machine", h.name(), o.name()))
		o.done()
	}
	h.log(actor, "replace_host", string(h.Host)+" has the machine of another host")
	return nil
}

func (h *subject) log(actor, action, object string) {
	h.plan.Log = append(h.plan.Log, muster.LogEntry{At: clock(h.stamp), Actor: actor, Action: action, Object: object})
}

// subject reads a host whose registration changes.
func (d *DB) subject(ctx context.Context, tx Querier, p *Plan, id muster.HostID) (*subject, error) {
	s := &Subject{}
	state, err := d.state(ctx, tx, id)
	if err == sql.ErrNoRows { // it has no version yet
		state = &State{Host: id, Open: &Version{Host: id, Until: Open}}
		err = tx.QueryRowContext(ctx, `SELECT stale_at FROM hosts WHERE id = $1`, string(id)).Scan(&state.StaleAt)
	}
	if err != nil {
		return nil, err
	}
	s.State = *state
	if err := d.first(ctx, tx, s); err != nil {
		return nil, err
	}
	return p.subject(s), nil
}

// finish ends the changes of the host and writes the plan.
func (d *DB) finish(ctx context.Context, tx Querier, p *Plan, h *subject) error {
	h.done()
	return d.Apply(ctx, tx, p)
}

// change is a change of one host that is logged, unless change says that there is
// nothing to change.
func (d *DB) change(ctx context.Context, what string, id muster.HostID, e muster.LogEntry, change func(tx Querier, h *subject) (bool, error)) error {
	return d.Write(ctx, what+" "+string(id), func(tx Querier) error {
		stamp, err := d.Stamp(ctx, tx)
		if err != nil {
			return err
		}
		p := newPlan(stamp)
		h, err := d.subject(ctx, tx, p, id)
		if err != nil {
			return err
		}
		if e.At.IsZero() {
			e.At = clock(p.now)
		}
		p.Log = append(p.Log, e)
		if changed, err := change(tx, h); err != nil || !changed {
			return err
		}
		return d.finish(ctx, tx, p, h)
	})
}

// Approve makes a pending host active.
func (d *DB) Approve(ctx context.Context, id muster.HostID, e muster.LogEntry) error {
	return d.change(ctx, "approve", id, e, func(tx Querier, h *subject) (bool, error) {
		switch h.Open.State {
		case muster.HostActive:
			return false, nil
		case muster.HostRetired:
			return false, fmt.Errorf("it was retired and must enroll anew first: a pending host of that id: %w", sql.ErrNoRows)
		}
		r := h.Open.Registration
		r.State, r.ReplacedBy = muster.HostActive, ""
		h.revise(r)
		if _, err := tx.ExecContext(ctx, `UPDATE hosts SET waits = '' WHERE id = $1`, string(id)); err != nil {
			return false, err
		}
		k, err := d.known(ctx, tx, id)
		if err != nil {
			return false, err
		}
		return true, d.activated(ctx, tx, h, k.Machine, e.Actor)
	})
}

// Retire takes a pending or active host out of every list and count.
func (d *DB) Retire(ctx context.Context, id muster.HostID, e muster.LogEntry) error {
	return d.change(ctx, "retire", id, e, func(tx Querier, h *subject) (bool, error) {
		if h.Open.State == muster.HostRetired {
			return false, fmt.Errorf("it is retired already: %w", sql.ErrNoRows)
		}
		r := h.Open.Registration
		r.State = muster.HostRetired
		h.revise(r)
		h.event(muster.EventRetired, h.name()+" is no longer counted")
		_, err := tx.ExecContext(ctx, `UPDATE hosts SET waits = '', audit_wanted = 0 WHERE id = $1`, string(id))
		return true, err
	})
}

// ClearClone forgets what shows that a host was copied.
func (d *DB) ClearClone(ctx context.Context, id muster.HostID, e muster.LogEntry) error {
	return d.change(ctx, "clear the clone flag of", id, e, func(_ Querier, h *subject) (bool, error) {
		r := h.Open.Registration
		r.Clone = ""
		h.revise(r)
		return h.Open != h.was.Open, nil
	})
}

// RequestAudit notes that someone wants an audit of an active host.
func (d *DB) RequestAudit(ctx context.Context, id muster.HostID, e muster.LogEntry) error {
	return d.Write(ctx, "request an audit of "+string(id), func(tx Querier) error {
		at := micros(e.At)
		if at == 0 {
			at = d.stamp()
		}
		if err := one(tx.ExecContext(ctx, `UPDATE hosts SET audit_wanted = $1 WHERE id = $2 AND state = 'active'`, at, string(id))); err != nil {
			return err
		}
		d.changed(nil)
		return d.logEntry(ctx, tx, e)
	})
}

// Enrolled returns the host's key and what it said of itself.
func (d *DB) Enrolled(ctx context.Context, id muster.HostID) (muster.Enrolled, error) {
	e := muster.Enrolled{Host: muster.Host{ID: id}}
	err := d.Read.QueryRowContext(ctx, `SELECT v.county, v.hostname, v.profile, v.platform, v.demo, h.public_key, v.state, v.agent, h.node, h.machine
		FROM hosts h JOIN versions v ON v.host = h.id AND v.n = h.version WHERE h.id = $1`, string(id)).
		Scan(&e.County, &e.Hostname, &e.Profile, &e.Platform, &e.Demo, &e.PublicKey, &e.State, &e.Agent, &e.Node, &e.Machine)
	return e, d.Wrap("read host "+string(id), err)
}

// Moved is when the host came to its county from another one.
func (d *DB) Moved(ctx context.Context, id muster.HostID) (time.Time, error) {
	var at int64
	err := d.Read.QueryRowContext(ctx, `SELECT coalesce(max(v.until_at), 0) FROM hosts h JOIN versions v ON v.host = h.id AND v.county <> h.county
		WHERE h.id = $1`, string(id)).Scan(&at)
	return clock(at), d.Wrap("read where host "+string(id)+" was", err)
}

package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// maxHot bounds how many hosts are remembered between commits, at about 200
// bytes each.
const maxHot = 100_000

// hot is what a commit must know of a host: its newest report.
type hot struct {
	seq      uint64
	digest   muster.Digest
	verdicts muster.Digest
	clone    muster.Clone
	policy   string // digest of the policy that judged it
}

// batch is one transaction of Commit. Rows are gathered and written many to a
// statement.
type batch struct {
	s    *Store
	ctx  context.Context
	tx   *sql.Conn
	rows []*bulk
	// hosts holds the new state of every host of this batch, and newest the
	// report that its row is to show.
	hosts  map[muster.HostID]hot
	newest map[muster.HostID]*muster.Accepted

	envelopes, findings, transitions, policies *bulk
}

// Commit stores the reports in one transaction.
func (s *Store) Commit(ctx context.Context, reports []muster.Accepted) ([]muster.Committed, error) {
	results := make([]muster.Committed, len(reports))
	s.mu.Lock()
	defer s.mu.Unlock()
	var b *batch
	err := s.transact(ctx, "commit reports", func(tx *sql.Conn) error {
		b = newBatch(ctx, s, tx, len(reports))
		for i := range reports {
			var err error
			if results[i], err = b.add(&reports[i]); err != nil {
				return fmt.Errorf("host %s report %d: %w", reports[i].Header.Host, reports[i].Header.Seq, err)
			}
		}
		return b.finish()
	})
	if err != nil {
		return nil, err
	}
	if len(s.hot)+len(b.hosts) > maxHot {
		clear(s.hot)
	}
	for id, h := range b.hosts {
		s.hot[id] = h
	}
	return results, nil
}

func newBatch(ctx context.Context, s *Store, tx *sql.Conn, n int) *batch {
	b := &batch{s: s, ctx: ctx, tx: tx, hosts: make(map[muster.HostID]hot, n), newest: make(map[muster.HostID]*muster.Accepted, n)}
	b.envelopes = b.table(9, `INSERT INTO envelopes (host, seq, digest, received_at, changes, base, base_seq, depth, size, body)`, ``, 10)
	b.findings = b.table(64, `INSERT INTO findings (host, control, status, waiver, evidence, since)`,
		`ON CONFLICT (host, control) DO UPDATE SET status = excluded.status, waiver = excluded.waiver,
			evidence = excluded.evidence, since = excluded.since`, 6)
	b.transitions = b.table(64, `INSERT INTO transitions (host, seq, control, was, became, collected_at, received_at)`, ``, 7)
	b.policies = b.table(64, `INSERT INTO host_policies (host, seq, policy, received_at)`, ``, 4)
	return b
}

func (b *batch) add(a *muster.Accepted) (muster.Committed, error) {
	id, seq := a.Header.Host, a.Header.Seq
	h, err := b.host(id)
	if err != nil {
		return muster.Committed{}, err
	}
	if seq <= h.seq {
		if c, found, err := b.known(a, h); found || err != nil {
			return c, err
		}
	}
	changes := 0
	if seq > h.seq {
		// The next number must follow the report that is kept, or two hosts share a key.
		if seq == h.seq+1 && h.seq > 0 && a.Header.Prev != h.digest {
			if err := b.flag(&h, a, muster.CloneChain); err != nil {
				return muster.Committed{}, err
			}
		}
		first := h.seq == 0
		h.seq, h.digest = seq, a.Envelope.Digest
		if p := a.Header.PolicyDigest; p != h.policy {
			if err := b.policies.add(id, int64(seq), p, unix(a.ReceivedAt)); err != nil {
				return muster.Committed{}, err
			}
			h.policy = p
		}
		if v := verdictsDigest(a.Verdicts); v != h.verdicts {
			if changes, err = b.change(a, first); err != nil {
				return muster.Committed{}, err
			}
			if err := b.pack(a); err != nil {
				return muster.Committed{}, err
			}
			h.verdicts = v
		}
		b.hosts[id], b.newest[id] = h, a
	}
	e := &a.Envelope
	err = b.envelopes.add(id, int64(seq), e.Digest[:], unix(a.ReceivedAt), changes,
		e.Base[:], int64(e.BaseSeq), e.Depth, e.Size, e.Body)
	return muster.Committed{Outcome: muster.OutcomeStored, ReceivedAt: a.ReceivedAt}, err
}

// host tells the newest state of a host: of this batch, as remembered, or as stored.
func (b *batch) host(id muster.HostID) (hot, error) {
	if h, ok := b.hosts[id]; ok {
		return h, nil
	}
	if h, ok := b.s.hot[id]; ok {
		return h, nil
	}
	var h hot
	var digest, verdicts []byte
	err := b.tx.QueryRowContext(b.ctx, `SELECT seq, digest, verdicts, clone, policy_digest FROM hosts WHERE id = ?`, id).
		Scan(&h.seq, &digest, &verdicts, &h.clone, &h.policy)
	copy(h.digest[:], digest)
	copy(h.verdicts[:], verdicts)
	b.hosts[id] = h
	return h, err
}

// known answers a report whose number may be stored already.
func (b *batch) known(a *muster.Accepted, h hot) (muster.Committed, bool, error) {
	if err := b.envelopes.flush(); err != nil {
		return muster.Committed{}, false, err
	}
	var digest []byte
	var at int64
	err := b.tx.QueryRowContext(b.ctx, `SELECT digest, received_at FROM envelopes WHERE host = ? AND seq = ?`,
		a.Header.Host, int64(a.Header.Seq)).Scan(&digest, &at)
	switch {
	case err == sql.ErrNoRows:
		return muster.Committed{}, false, nil
	case err != nil:
		return muster.Committed{}, false, err
	case bytes.Equal(digest, a.Envelope.Digest[:]):
		return muster.Committed{Outcome: muster.OutcomeDuplicate, ReceivedAt: clock(at)}, true, nil
	}
	if err := b.flag(&h, a, muster.CloneNumber); err != nil {
		return muster.Committed{}, true, err
	}
	b.hosts[a.Header.Host] = h
	_, err = b.tx.ExecContext(b.ctx, `UPDATE hosts SET clone = ? WHERE id = ?`, h.clone, a.Header.Host)
	return muster.Committed{Outcome: muster.OutcomeConflict}, true, err
}

// flag notes and logs the first thing that shows a copy.
func (b *batch) flag(h *hot, a *muster.Accepted, c muster.Clone) error {
	if h.clone != "" {
		return nil
	}
	h.clone = c
	return log(b.ctx, b.tx, cloneFlagged(a.Header.Host, c, a.ReceivedAt))
}

func cloneFlagged(id muster.HostID, c muster.Clone, at time.Time) muster.LogEntry {
	return muster.LogEntry{At: at, Actor: "host", Action: "flag_clone", Object: fmt.Sprintf("%s by its %s", id, c)}
}

// finding is a current finding as it is stored.
type finding struct {
	status   muster.Status
	waiver   string
	evidence []byte
	since    int64
}

// change writes the findings that differ and one transition for each status
// that does. A control that is no longer asked leaves the findings with a
// transition to not applicable. It returns the transitions that are not first.
func (b *batch) change(a *muster.Accepted, first bool) (int, error) {
	id, received := a.Header.Host, unix(a.ReceivedAt)
	var was map[string]finding
	if !first {
		var err error
		if was, err = b.current(id); err != nil {
			return 0, err
		}
	}
	changes := 0
	moved := func(control string, from int, to muster.Status) error {
		if from >= 0 {
			changes++
		}
		return b.transitions.add(id, int64(a.Header.Seq), control, from, int(to), unix(a.Header.CollectedAt), received)
	}
	for _, v := range a.Verdicts {
		f, there := was[v.Control]
		delete(was, v.Control)
		from := int(f.status)
		if !there {
			from = -1
		}
		if there && f.status == v.Status && f.waiver == v.Waiver && bytes.Equal(f.evidence, v.Evidence) {
			continue
		}
		if !there || f.status != v.Status {
			f.since = received
			if err := moved(v.Control, from, v.Status); err != nil {
				return 0, err
			}
		}
		evidence := v.Evidence
		if evidence == nil {
			evidence = []byte{}
		}
		if err := b.findings.add(id, v.Control, int(v.Status), v.Waiver, evidence, f.since); err != nil {
			return 0, err
		}
	}
	for control, f := range was {
		if _, err := b.tx.ExecContext(b.ctx, `DELETE FROM findings WHERE host = ? AND control = ?`, id, control); err != nil {
			return 0, err
		}
		if f.status != muster.StatusNotApplicable {
			if err := moved(control, int(f.status), muster.StatusNotApplicable); err != nil {
				return 0, err
			}
		}
	}
	return changes, nil
}

// waivedBit marks a waived fail or unknown in hosts.statuses.
const waivedBit = 4

// pack writes the statuses of a report as one value of its host's row.
func (b *batch) pack(a *muster.Accepted) error {
	statuses := make([]byte, len(a.Verdicts))
	names := make([]string, len(a.Verdicts))
	for i := range a.Verdicts {
		v := &a.Verdicts[i]
		if strings.Contains(v.Control, "\n") {
			return fmt.Errorf("control id %q has two lines", v.Control)
		}
		names[i], statuses[i] = v.Control, byte(v.Status)
		if v.Waiver != "" && (v.Status == muster.StatusFail || v.Status == muster.StatusUnknown) {
			statuses[i] |= waivedBit
		}
	}
	list := strings.Join(names, "\n")
	set := sha256.Sum256([]byte(list))
	for _, q := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO control_sets (digest, controls) VALUES (?, ?) ON CONFLICT DO NOTHING`, []any{set[:], list}},
		{`UPDATE hosts SET control_set = ?, statuses = ? WHERE id = ?`, []any{set[:], statuses, a.Header.Host}},
	} {
		stmt, err := b.s.prepare(b.ctx, q.query)
		if err != nil {
			return err
		}
		if _, err := stmt.ExecContext(b.ctx, q.args...); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) current(id muster.HostID) (map[string]finding, error) {
	if err := b.findings.flush(); err != nil {
		return nil, err
	}
	stmt, err := b.s.prepare(b.ctx, `SELECT control, status, waiver, evidence, since FROM findings WHERE host = ?`)
	if err != nil {
		return nil, err
	}
	r, err := stmt.QueryContext(b.ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m := make(map[string]finding, 64)
	for r.Next() {
		var control string
		var f finding
		if err := r.Scan(&control, &f.status, &f.waiver, &f.evidence, &f.since); err != nil {
			return nil, err
		}
		m[control] = f
	}
	return m, r.Err()
}

// finish writes the gathered rows and the hosts' new standing.
func (b *batch) finish() error {
	for _, t := range b.rows {
		if err := t.flush(); err != nil {
			return err
		}
	}
	update, err := b.s.prepare(b.ctx, `UPDATE hosts SET
		seq = ?, digest = ?, verdicts = ?, clone = ?, first_seen = iif(first_seen = 0, ?5, first_seen), last_seen = ?5,
		hostname = ?, agent = ?, collected_at = ?8, replaced_by = iif(?8 > replaced_at, '', replaced_by), policy = ?, policy_digest = ?,
		pass = ?, fail = ?, unknown = ?, not_applicable = ?, waived = ?, meets = ?, gate_fails = ?
		WHERE id = ?`)
	if err != nil {
		return err
	}
	for id, a := range b.newest {
		h, at, sum := b.hosts[id], unix(a.ReceivedAt), a.Summary
		if _, err := update.ExecContext(b.ctx, int64(h.seq), h.digest[:], h.verdicts[:], h.clone, at,
			a.Header.Hostname, a.Header.Agent, unix(a.Header.CollectedAt), a.Header.PolicyRevision, h.policy,
			sum.Pass, sum.Fail, sum.Unknown, sum.NotApplicable, sum.Waived, sum.MeetsBaseline, a.GateFails, id); err != nil {
			return err
		}
	}
	return nil
}

// verdictsDigest is equal for equal verdicts in equal order.
func verdictsDigest(list []muster.Verdict) muster.Digest {
	buf := make([]byte, 0, 4096)
	for i := range list {
		v := &list[i]
		buf = binary.AppendUvarint(buf, uint64(len(v.Control)))
		buf = append(buf, v.Control...)
		buf = append(buf, byte(v.Status))
		buf = binary.AppendUvarint(buf, uint64(len(v.Waiver)))
		buf = append(buf, v.Waiver...)
		buf = binary.AppendUvarint(buf, uint64(len(v.Evidence)))
		buf = append(buf, v.Evidence...)
	}
	return sha256.Sum256(buf)
}

// bulk gathers rows for one table.
type bulk struct {
	b              *batch
	insert, suffix string
	columns, max   int
	args           []any
}

func (b *batch) table(max int, insert, suffix string, columns int) *bulk {
	t := &bulk{b: b, insert: insert, suffix: suffix, columns: columns, max: max}
	b.rows = append(b.rows, t)
	return t
}

func (t *bulk) add(values ...any) error {
	t.args = append(t.args, values...)
	if len(t.args) == t.max*t.columns {
		return t.flush()
	}
	return nil
}

// flush writes what is gathered, in runs of a power of two, so that few
// statements are ever prepared.
func (t *bulk) flush() error {
	for rest := t.args; len(rest) > 0; {
		n := 1
		for n*2*t.columns <= len(rest) {
			n *= 2
		}
		row := "(" + strings.Repeat("?,", t.columns-1) + "?)"
		stmt, err := t.b.s.prepare(t.b.ctx, t.insert+" VALUES "+strings.Repeat(row+",", n-1)+row+" "+t.suffix)
		if err != nil {
			return err
		}
		if _, err := stmt.ExecContext(t.b.ctx, rest[:n*t.columns]...); err != nil {
			return err
		}
		rest = rest[n*t.columns:]
	}
	t.args = t.args[:0]
	return nil
}

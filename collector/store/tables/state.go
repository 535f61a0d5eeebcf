package tables

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/passmuster/muster"
)

// VersionColumns are those of versions as scanVersion reads them, and as Values of a
// version gives them; v is the table.
const VersionColumns = `v.host, v.n, v.from_at, v.until_at, v.county, v.state, v.profile, v.platform, v.hostname, v.demo,
	v.agent, v.clone, v.replaced_by, v.seq, v.about_at, v.late, v.policy, v.policy_digest,
	v.pass, v.fail, v.unknown, v.not_applicable, v.waived, v.meets, v.gate_fails, v.changes,
	v.control_set, v.statuses, v.since, v.waivers`

// StateColumns are what ScanState reads, of hosts h and its open version v.
const StateColumns = `h.id, h.replaced_at, (SELECT max(x.n) FROM versions x WHERE x.host = h.id),
	h.seq, h.digest, h.first_seen, h.last_seen, h.collected_at, h.about_at, h.received, h.declared, h.stale_at, ` + VersionColumns

// LineColumns are what ScanLine reads, of reports r.
const LineColumns = `r.host, r.seq, r.digest, r.received_at, r.collected_at, r.about_at, r.newest, r.received, r.missing, r.version, r.way`

// Scanner is a row.
type Scanner interface{ Scan(dest ...any) error }

// versionTargets are where a row of VersionColumns goes.
func versionTargets(v *Version, set *[]byte) []any {
	return []any{&v.Host, &v.N, &v.From, &v.Until, &v.County, &v.State, &v.Profile, &v.Platform, &v.Hostname, &v.Demo,
		&v.Agent, &v.Clone, &v.ReplacedBy, &v.Seq, &v.AboutAt, &v.Late, &v.PolicyRevision, &v.Policy,
		&v.Summary.Pass, &v.Summary.Fail, &v.Summary.Unknown, &v.Summary.NotApplicable, &v.Summary.Waived,
		&v.Summary.MeetsBaseline, &v.GateFails, &v.Changes, set, &v.Statuses, &v.Since, &v.Waivers}
}

// ScanState reads a row of StateColumns. The control set of Open has no more than its
// digest: Complete gives it the rest.
func ScanState(r Scanner) (*State, error) {
	s := &State{Open: &Version{}}
	var digest, set []byte
	err := r.Scan(append([]any{&s.Host, &s.ReplacedAt, &s.LastVersion, &s.Seq, &digest, &s.FirstSeen, &s.LastSeen,
		&s.CollectedAt, &s.AboutAt, &s.Received, &s.Declared, &s.StaleAt}, versionTargets(s.Open, &set)...)...)
	copy(s.Digest[:], digest)
	s.Open.Set = bare(set)
	return s, err
}

// ScanVersion reads a row of VersionColumns, as ScanState does.
func ScanVersion(r Scanner) (*Version, error) {
	v := &Version{}
	var set []byte
	err := r.Scan(versionTargets(v, &set)...)
	v.Set = bare(set)
	return v, err
}

// ScanLine reads a row of LineColumns.
func ScanLine(r Scanner) (l Stored, err error) {
	var digest []byte
	err = r.Scan(&l.Host, &l.Seq, &digest, &l.ReceivedAt, &l.CollectedAt, &l.AboutAt, &l.Newest, &l.Received, &l.Missing, &l.Version, &l.Way)
	copy(l.Digest[:], digest)
	return l, err
}

// bare is a set of which only the digest is known.
func bare(digest []byte) *Set {
	if len(digest) == 0 {
		return nil
	}
	return &Set{Digest: muster.Digest(digest)}
}

// Complete gives the versions their control sets.
func (d *DB) Complete(ctx context.Context, q Querier, versions ...*Version) error {
	for _, v := range versions {
		if v.Set == nil || v.Set.Controls != nil {
			continue
		}
		set, err := d.sets.get(ctx, q, v.Set.Digest)
		if err != nil {
			return err
		}
		if len(v.Statuses) != len(set.Controls) || len(v.Since) != sinceSize*len(v.Statuses) {
			return fmt.Errorf("version %d of host %s has %d statuses for %d controls: the store is damaged",
				v.N, v.Host, len(v.Statuses), len(set.Controls))
		}
		v.Set = set
	}
	return nil
}

// maxSets bounds the control sets that are remembered, at some 2 KiB each.
const maxSets = 1024

// sets remembers rows of control_sets, which never change.
type sets struct {
	mu  sync.Mutex
	all map[muster.Digest]*Set
}

func (s *sets) get(ctx context.Context, q Querier, digest muster.Digest) (*Set, error) {
	s.mu.Lock()
	set := s.all[digest]
	s.mu.Unlock()
	if set != nil {
		return set, nil
	}
	var controls string
	err := q.QueryRowContext(ctx, `SELECT controls FROM control_sets WHERE digest = $1`, digest[:]).Scan(&controls)
	if err != nil {
		return nil, fmt.Errorf("control set %s: %w", digest, err)
	}
	return s.keep(parseSet(digest, controls)), nil
}

// keep gives the set that is remembered in place of the given one.
func (s *sets) keep(set *Set) *Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.all[set.Digest]; kept != nil {
		return kept
	}
	if s.all == nil || len(s.all) >= maxSets {
		s.all = map[muster.Digest]*Set{}
	}
	s.all[set.Digest] = set
	return set
}

// Subjects are the hosts of the reports, as Plan needs them. known may give states that
// it is sure of, or nil. A host that is not there is an error.
func (d *DB) Subjects(ctx context.Context, tx Querier, reports []muster.Accepted, known func(muster.HostID) *State) (map[muster.HostID]*Subject, error) {
	subjects := make(map[muster.HostID]*Subject, len(reports))
	for i := range reports {
		id, seq := reports[i].Header.Host, reports[i].Header.Seq
		s := subjects[id]
		if s == nil {
			state := known(id)
			if state == nil {
				var err error
				if state, err = d.state(ctx, tx, id); err != nil {
					return nil, fmt.Errorf("host %s: %w", id, err)
				}
			}
			s = &Subject{State: *state}
			subjects[id] = s
			if s.Open.ReplacedBy != "" {
				if err := d.first(ctx, tx, s); err != nil {
					return nil, err
				}
			}
		}
		if seq < s.Seq {
			if err := d.around(ctx, tx, s, seq); err != nil {
				return nil, fmt.Errorf("host %s report %d: %w", id, seq, err)
			}
		}
	}
	return subjects, nil
}

// state reads a host.
func (d *DB) state(ctx context.Context, tx Querier, id muster.HostID) (*State, error) {
	s, err := ScanState(tx.QueryRowContext(ctx, `SELECT `+StateColumns+`
		FROM hosts h JOIN versions v ON v.host = h.id AND v.n = h.version WHERE h.id = $1`, id))
	if err != nil {
		return nil, err
	}
	return s, d.Complete(ctx, tx, s.Open)
}

// first reads since when hindsight knows the host.
func (d *DB) first(ctx context.Context, tx Querier, s *Subject) error {
	var about sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT (SELECT about_at FROM reports WHERE host = $1 ORDER BY seq LIMIT 1)`, s.Host).Scan(&about)
	if err != nil {
		return err
	}
	err = tx.QueryRowContext(ctx, `SELECT enrolled_at FROM hosts WHERE id = $1`, s.Host).Scan(&s.FirstAbout)
	if about.Valid {
		s.FirstAbout = max(1, min(s.FirstAbout, about.Int64))
	}
	return err
}

// around reads the stored report of the number, or those on both sides of it.
func (d *DB) around(ctx context.Context, tx Querier, s *Subject, seq uint64) error {
	scan := func(r *sql.Rows) (Stored, error) { return ScanLine(r) }
	lines, err := rows(ctx, tx, scan, `SELECT `+LineColumns+` FROM reports r WHERE r.host = $1 AND r.seq <= $2
		ORDER BY r.seq DESC LIMIT 1`, s.Host, int64(seq))
	if err != nil {
		return err
	}
	if len(lines) > 0 && lines[0].Seq == seq {
		s.Lines = append(s.Lines, lines...)
		return nil
	}
	above, err := rows(ctx, tx, scan, `SELECT `+LineColumns+` FROM reports r WHERE r.host = $1 AND r.seq > $2
		ORDER BY r.seq LIMIT 1`, s.Host, int64(seq))
	if err != nil {
		return err
	}
	s.Lines = append(append(s.Lines, lines...), above...)
	if len(lines) == 0 || lines[0].Version == s.Open.N {
		return nil
	}
	v, err := ScanVersion(tx.QueryRowContext(ctx, `SELECT `+VersionColumns+` FROM versions v WHERE v.host = $1 AND v.n = $2`,
		s.Host, lines[0].Version))
	if err != nil {
		return err
	}
	s.Versions = append(s.Versions, v)
	return d.Complete(ctx, tx, v)
}

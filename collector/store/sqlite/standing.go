package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/passmuster/muster"
)

// stale is the SQL for a host that was silent for too long. A host that never
// reported is silent since it enrolled. It takes no parameters, because the
// clock is the store's.
func (s *Store) stale() string {
	now := s.now().Unix()
	cutoff := func(p muster.Profile) int64 { return now - int64(p.StaleAfter().Seconds()) }
	return fmt.Sprintf(`(max(h.last_seen, h.enrolled_at) < iif(h.profile = 'ems', %d, %d))`,
		cutoff(muster.EMS), cutoff(muster.Workstation))
}

// counted is the SQL for a host that counts.
const counted = `h.state = 'active' AND h.replaced_by = ''`

// replaces is the SQL for the host whose place h takes, or would take once approved.
const replaces = `coalesce(iif(h.state = 'active',
	(SELECT min(o.id) FROM hosts o WHERE o.replaced_by = h.id AND o.replaced_by <> ''),
	(SELECT min(o.id) FROM hosts o WHERE o.machine = h.machine AND o.machine <> '' AND o.county = h.county
		AND o.state = 'active' AND o.replaced_by = '')), '')`

// hosts lists hosts as h; where follows FROM hosts h.
func (s *Store) hosts(ctx context.Context, what, where string, args ...any) ([]muster.HostStanding, error) {
	return rows(ctx, s, what, func(r *sql.Rows) (h muster.HostStanding, err error) {
		var first, last, collected, wanted int64
		err = r.Scan(&h.ID, &h.Hostname, &h.County, &h.Profile, &h.Platform, &h.Demo, &h.State,
			&h.Summary.Pass, &h.Summary.Fail, &h.Summary.Unknown, &h.Summary.NotApplicable, &h.Summary.Waived,
			&h.Summary.MeetsBaseline, &h.Seq, &first, &last, &collected, &h.Agent, &h.PolicyRevision, &h.PolicyDigest, &h.ConflictReason,
			&h.Replaces, &h.ReplacedBy, &wanted, &h.Stale)
		h.FirstSeen, h.LastSeen, h.CollectedAt, h.AuditWanted = clock(first), clock(last), clock(collected), clock(wanted)
		h.Conflict = h.ConflictReason != ""
		return h, err
	}, `SELECT h.id, h.hostname, h.county, h.profile, h.platform, h.demo, h.state,
		h.pass, h.fail, h.unknown, h.not_applicable, h.waived,
		h.meets, h.seq, h.first_seen, h.last_seen, h.collected_at, h.agent, h.policy, h.policy_digest, h.clone,
		`+replaces+`, h.replaced_by, h.audit_wanted, `+s.stale()+`
		FROM hosts h `+where, args...)
}

// Hosts that are active, by id.
func (s *Store) Hosts(ctx context.Context, after muster.HostID, limit int) ([]muster.HostStanding, error) {
	return s.hosts(ctx, "read hosts", `WHERE h.state = 'active' AND h.id > ? ORDER BY h.id LIMIT ?`, after, limit)
}

// CountyHosts are the county's active hosts.
func (s *Store) CountyHosts(ctx context.Context, county muster.County) ([]muster.HostStanding, error) {
	return s.hosts(ctx, "read hosts of "+string(county), `WHERE h.county = ? AND h.state = 'active'`, county)
}

// Host returns an active host.
func (s *Store) Host(ctx context.Context, id muster.HostID) (muster.HostStanding, error) {
	what := "read host " + string(id)
	list, err := s.hosts(ctx, what, `WHERE h.id = ? AND h.state = 'active'`, id)
	if err != nil {
		return muster.HostStanding{}, err
	}
	if len(list) == 0 {
		return muster.HostStanding{}, wrap(what, sql.ErrNoRows)
	}
	return list[0], nil
}

// ControlHosts are the active hosts where the control fails or is unknown.
func (s *Store) ControlHosts(ctx context.Context, control string) ([]muster.HostStanding, error) {
	return s.hosts(ctx, "read hosts of "+control, `JOIN findings f ON f.host = h.id AND f.control = ?
		WHERE `+counted+` AND f.status IN (0, 2)`, control)
}

// Quiet are the stale hosts, the longest silent first.
func (s *Store) Quiet(ctx context.Context, limit int) ([]muster.HostStanding, error) {
	return s.hosts(ctx, "read quiet hosts", `WHERE `+counted+` AND `+s.stale()+`
		ORDER BY max(h.last_seen, h.enrolled_at), h.id LIMIT ?`, limit)
}

// Pending are the hosts that wait for approval.
func (s *Store) Pending(ctx context.Context) ([]muster.HostStanding, error) {
	return s.hosts(ctx, "read pending hosts", `WHERE h.state = 'pending' ORDER BY h.enrolled_at, h.id`)
}

// Counties that have any host.
func (s *Store) Counties(ctx context.Context) ([]muster.CountyStanding, error) {
	return rows(ctx, s, "read counties", func(r *sql.Rows) (c muster.CountyStanding, err error) {
		err = r.Scan(&c.County, &c.Hosts, &c.Stale, &c.Meeting, &c.Failing, &c.Unknown, &c.Pending, &c.Invented)
		return c, err
	}, `SELECT county,
		sum(active), sum(active AND stale), sum(active AND NOT stale AND meets),
		sum(active AND NOT stale AND NOT meets AND gate_fails),
		sum(active AND NOT stale AND NOT meets AND NOT gate_fails),
		sum(NOT active), sum(demo)
		FROM (SELECT county, meets, gate_fails, demo, state = 'active' AS active, `+s.stale()+` AS stale FROM hosts h WHERE replaced_by = '')
		GROUP BY county`)
}

func (s *Store) findings(ctx context.Context, what, from string, args ...any) ([]muster.FindingStanding, error) {
	return rows(ctx, s, what, func(r *sql.Rows) (f muster.FindingStanding, err error) {
		var since int64
		err = r.Scan(&f.Host, &f.Control, &f.Status, &f.Waiver, &since)
		f.Since = clock(since)
		return f, err
	}, `SELECT f.host, f.control, f.status, f.waiver, f.since FROM `+from, args...)
}

// CountyFindings are the fails and unknowns of the county's active hosts.
func (s *Store) CountyFindings(ctx context.Context, county muster.County) ([]muster.FindingStanding, error) {
	return s.findings(ctx, "read findings of "+string(county), `hosts h JOIN findings f ON f.host = h.id
		WHERE h.county = ? AND `+counted+` AND f.status IN (0, 2)`, county)
}

// HostFindings are all current findings of an active host.
func (s *Store) HostFindings(ctx context.Context, id muster.HostID) ([]muster.FindingStanding, error) {
	return s.findings(ctx, "read findings of "+string(id), `hosts h JOIN findings f ON f.host = h.id
		WHERE h.id = ? AND h.state = 'active'`, id)
}

// ControlFindings are the fails and unknowns of the control on active hosts.
func (s *Store) ControlFindings(ctx context.Context, control string) ([]muster.FindingStanding, error) {
	return s.findings(ctx, "read findings of "+control, `hosts h JOIN findings f ON f.host = h.id AND f.control = ?
		WHERE `+counted+` AND f.status IN (0, 2)`, control)
}

// packed is a host's current findings as its row holds them.
type packed struct {
	county   muster.County
	set      string
	statuses []byte
}

// Controls counts every control over active hosts that are not stale.
func (s *Store) Controls(ctx context.Context) ([]muster.ControlStanding, error) {
	const what = "read controls"
	hosts, err := rows(ctx, s, what, func(r *sql.Rows) (p packed, err error) {
		err = r.Scan(&p.county, &p.set, &p.statuses)
		return p, err
	}, `SELECT county, control_set, statuses FROM hosts h WHERE `+counted+` AND statuses <> x'' AND NOT `+s.stale())
	if err != nil {
		return nil, err
	}
	// After the hosts, because a set is there before the first host that has it.
	sets := map[string][]string{}
	if _, err := rows(ctx, s, what, func(r *sql.Rows) (digest string, err error) {
		var controls string
		err = r.Scan(&digest, &controls)
		sets[digest] = strings.Split(controls, "\n")
		return digest, err
	}, `SELECT digest, controls FROM control_sets`); err != nil {
		return nil, err
	}
	counts := map[string]*muster.ControlStanding{}
	type place struct {
		control string
		county  muster.County
	}
	failing := map[place]bool{}
	for _, h := range hosts {
		for i, control := range sets[h.set] {
			c := counts[control]
			if c == nil {
				c = &muster.ControlStanding{Control: control}
				counts[control] = c
			}
			switch status := h.statuses[i]; {
			case status&waivedBit != 0:
				c.Waived++
			case muster.Status(status) == muster.StatusPass:
				c.Pass++
			case muster.Status(status) == muster.StatusNotApplicable:
				c.NotApplicable++
			case muster.Status(status) == muster.StatusUnknown:
				c.Unknown++
			default:
				c.Fail++
				if at := (place{control, h.county}); !failing[at] {
					failing[at] = true
					c.FailCounties++
				}
			}
		}
	}
	list := make([]muster.ControlStanding, 0, len(counts))
	for _, c := range counts {
		list = append(list, *c)
	}
	return list, nil
}

func (s *Store) transitions(ctx context.Context, what, from string, args ...any) ([]muster.Transition, error) {
	return rows(ctx, s, what, func(r *sql.Rows) (t muster.Transition, err error) {
		var was int
		var collected, received int64
		err = r.Scan(&t.Host, &t.Control, &was, &t.To, &t.Seq, &collected, &received)
		if t.First = was < 0; !t.First {
			t.From = muster.Status(was)
		}
		t.CollectedAt, t.ReceivedAt = clock(collected), clock(received)
		return t, err
	}, `SELECT t.host, t.control, t.was, t.became, t.seq, t.collected_at, t.received_at FROM `+from, args...)
}

// HostTransitions are an active host's changes, newest first.
func (s *Store) HostTransitions(ctx context.Context, id muster.HostID, limit int) ([]muster.Transition, error) {
	return s.transitions(ctx, "read transitions of "+string(id), `hosts h JOIN transitions t ON t.host = h.id
		WHERE h.id = ? AND h.state = 'active' ORDER BY t.seq DESC, t.control LIMIT ?`, id, limit)
}

// Changes are the newest transitions of all hosts that count.
func (s *Store) Changes(ctx context.Context, limit int) ([]muster.Transition, error) {
	return s.transitions(ctx, "read changes", `envelopes e
		JOIN hosts h ON h.id = e.host AND `+counted+`
		JOIN transitions t ON t.host = e.host AND t.seq = e.seq AND t.was >= 0
		WHERE e.changes > 0 ORDER BY e.id DESC, t.control LIMIT ?`, limit)
}

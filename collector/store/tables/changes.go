package tables

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// step is a report whose verdicts are held in another version than those of the one
// before it.
type step struct {
	muster.Transition
	was, now packed // nothing was before the first
}

// differ are the changes from the one to the other, by control. A control that is gone
// becomes not applicable.
func differ(was, now map[string]muster.Status) []muster.Transition {
	var list []muster.Transition
	for control, to := range now {
		if from, ok := was[control]; !ok || from != to {
			list = append(list, muster.Transition{Control: control, From: from, To: to, First: !ok})
		}
	}
	for control, from := range was {
		if _, ok := now[control]; !ok && from != muster.StatusNotApplicable {
			list = append(list, muster.Transition{Control: control, From: from, To: muster.StatusNotApplicable})
		}
	}
	slices.SortFunc(list, func(a, b muster.Transition) int { return strings.Compare(a.Control, b.Control) })
	return list
}

// differences from the one version to the other, by control.
func (d *DB) differences(ctx context.Context, q Querier, was, now packed) ([]muster.Transition, error) {
	names, err := d.names(ctx, q, now.set)
	if err != nil {
		return nil, err
	}
	if was.set != now.set {
		former, err := d.names(ctx, q, was.set)
		return differ(byControl(former, was.statuses), byControl(names, now.statuses)), err
	}
	before, after := map[string]muster.Status{}, map[string]muster.Status{}
	for i := range min(len(names), len(was.statuses), len(now.statuses)) {
		if a, b := statusOf(was.statuses[i]), statusOf(now.statuses[i]); a != b {
			before[names[i]], after[names[i]] = a, b
		}
	}
	return differ(before, after), nil
}

func byControl(names []string, statuses []byte) map[string]muster.Status {
	m := make(map[string]muster.Status, len(names))
	for i := range min(len(names), len(statuses)) {
		m[names[i]] = statusOf(statuses[i])
	}
	return m
}

// HostTransitions are an active host's, newest first by number. As it was shown they
// are those of reports that were not late; in hindsight those of every report that was
// made by then.
func (d *DB) HostTransitions(ctx context.Context, v muster.View, id muster.HostID, limit int) ([]muster.Transition, error) {
	var list []muster.Transition
	i := d.instant(v)
	err := d.Snapshot(ctx, "read transitions of "+string(id), func(q Querier) error {
		ask := d.ask(i)
		var hostname string
		var county muster.County
		err := q.QueryRowContext(ctx, `SELECT v.hostname, v.county`+ask.from(ask.one(id), false)+` AND v.state = 'active'`, ask.args...).Scan(&hostname, &county)
		if err == sql.ErrNoRows {
			return nil
		} else if err != nil {
			return err
		}
		known, until := "r.newest = r.seq AND r.received_at", i.at
		if i.hindsight {
			known, until = "r.about_at", i.clock
		}
		steps, err := rows(ctx, q, func(r *sql.Rows) (step, error) {
			s := step{Transition: muster.Transition{Host: id, Hostname: hostname, County: county}}
			var received, collected int64
			err := r.Scan(&s.Seq, &received, &collected, &s.now.set, &s.now.statuses, &s.was.set, &s.was.statuses)
			s.ReceivedAt, s.CollectedAt = clock(received), fromSeconds(collected)
			return s, err
		}, `SELECT s.seq, s.received_at, s.collected_at, v.control_set, v.statuses, coalesce(b.control_set, $3), coalesce(b.statuses, $3) FROM (
				SELECT r.host, r.seq, r.received_at, r.collected_at, r.version, coalesce(lag(r.version) OVER (ORDER BY r.seq), 0) AS was
				FROM reports r WHERE r.host = $1 AND `+known+` <= $2) s
			JOIN versions v ON v.host = s.host AND v.n = s.version
			LEFT JOIN versions b ON b.host = s.host AND b.n = s.was
			WHERE s.version <> s.was ORDER BY s.seq DESC`, string(id), until, []byte{})
		if err != nil {
			return err
		}
		list, err = d.walk(ctx, q, steps, limit, true)
		return err
	})
	return list, err
}

// walk gathers the transitions of steps, at most limit; first ones where they are wanted.
func (d *DB) walk(ctx context.Context, q Querier, steps []step, limit int, first bool) ([]muster.Transition, error) {
	var list []muster.Transition
	for _, s := range steps {
		if int64(len(list)) >= most(limit) {
			break
		}
		changed, err := d.differences(ctx, q, s.was, s.now)
		if err != nil {
			return nil, err
		}
		for _, c := range changed {
			if t := s.Transition; first || !c.First {
				t.Control, t.From, t.To, t.First = c.Control, c.From, c.To, c.First
				list = append(list, t)
			}
		}
	}
	return list[:min(int64(len(list)), most(limit))], nil
}

// Changes are the newest transitions of all active hosts, or of those in a county that
// were made there, newest first, without those that are First. In hindsight they are in
// the order in which they were made, and what only a late report makes a change of the
// report after it is left out; HostTransitions has that too.
func (d *DB) Changes(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.Transition, error) {
	var list []muster.Transition
	i := d.instant(v)
	err := d.Snapshot(ctx, "read changes", func(q Querier) error {
		// The first is just after the instant.
		before := cursor{at: i.at + 1}
		if i.hindsight {
			before.at = i.clock + 1
		}
		for int64(len(list)) < most(limit) {
			steps, next, err := d.changes(ctx, q, i, county, before, most(limit))
			if err != nil {
				return err
			}
			more, err := d.walk(ctx, q, steps, 0, false)
			if err != nil {
				return err
			}
			list = append(list, more...)
			if next == before {
				break
			}
			before = next
		}
		return nil
	})
	return list[:min(int64(len(list)), most(limit))], err
}

// cursor is a place in the changes: those before it are older.
type cursor struct {
	at, n int64
	host  muster.HostID
}

// changes are versions in which something changed, the newest of those before a cursor,
// and the cursor of the next ones. Of the limit that is looked at, those of hosts that
// do not count are left out.
func (d *DB) changes(ctx context.Context, q Querier, i instant, county muster.County, before cursor, limit int64) ([]step, cursor, error) {
	ask := d.ask(i)
	at := "from_at"
	if i.hindsight {
		at = "about_at"
	}
	where := fmt.Sprintf("changes > 0 AND (%s, host, n) < (%s, %s, %s)", at,
		ask.arg(before.at), ask.arg(string(before.host)), ask.arg(before.n))
	was := `SELECT max(p.n) FROM versions p WHERE p.host = m.host AND p.n < m.n AND p.late = 0`
	if i.hindsight {
		was = `SELECT p.version FROM reports p WHERE p.host = m.host AND p.seq < m.seq ORDER BY p.seq DESC LIMIT 1`
	} else {
		where += " AND late = 0"
	}
	here := ""
	if county != "" {
		c := ask.arg(string(county))
		where, here = where+" AND county = "+c, " AND v.county = "+c
	}
	nothing := ask.arg([]byte{})
	// Mostly the change is in the version that is shown.
	until := strconv.FormatInt(Open, 10)
	if i.at != present {
		until = strings.ReplaceAll(`CASE WHEN m.until_at > $at THEN m.until_at ELSE (SELECT x.until_at FROM versions x
			WHERE x.host = m.host AND x.from_at < x.until_at AND x.until_at > $at ORDER BY x.until_at LIMIT 1) END`, "$at", ask.arg(i.at))
	}
	next := before
	var steps []step
	_, err := rows(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var s step
		var received, collected int64
		var hostname sql.NullString
		err := r.Scan(&s.Host, &s.Seq, &s.County, &next.n, &next.at, &s.now.set, &s.now.statuses, &s.was.set, &s.was.statuses,
			&received, &collected, &hostname)
		s.Hostname, s.ReceivedAt, s.CollectedAt = hostname.String, clock(received), fromSeconds(collected)
		next.host = s.Host
		if hostname.Valid {
			steps = append(steps, s)
		}
		return struct{}{}, err
	}, `SELECT m.host, m.seq, m.county, m.n, m.at, m.control_set, m.statuses, coalesce(b.control_set, `+nothing+`), coalesce(b.statuses, `+nothing+`),
			r.received_at, r.collected_at, v.hostname
		FROM (SELECT host, seq, county, n, `+at+` AS at, control_set, statuses, until_at FROM versions WHERE `+where+`
			ORDER BY `+at+` DESC, host DESC, n DESC LIMIT `+ask.arg(limit)+`) m
		LEFT JOIN versions b ON b.host = m.host AND b.n = (`+was+`)
		JOIN reports r ON r.host = m.host AND r.seq = m.seq
		LEFT JOIN versions v ON v.host = m.host AND v.from_at < v.until_at AND v.until_at = `+until+` AND v.from_at <= `+ask.arg(i.at)+` AND `+counted+here+`
		ORDER BY m.at DESC, m.host DESC, m.n DESC`, ask.args...)
	return steps, next, err
}

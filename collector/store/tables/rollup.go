package tables

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

// Roll-ups of the ends of days, and of so much of a day, are kept for ever, so that no
// instant is far from one; those between for so long.
const (
	keptMicros  = dayMicros / 4
	keepBetween = 2 * dayMicros
)

// dayEnd is the last microsecond of a day.
func dayEnd(day int64) int64 { return (day+1)*dayMicros - 1 }

// Rollup keeps how every county and control stands just before at, and at the end of
// each quarter of a UTC day that has ended and has no roll-up yet.
func (d *DB) Rollup(ctx context.Context, at time.Time) error {
	until := at.UnixMicro() - 1
	var first, newest int64
	err := d.Snapshot(ctx, "read roll-ups", func(q Querier) error {
		err := q.QueryRowContext(ctx, `SELECT coalesce(min(at), 0), coalesce(max(at), 0) FROM rollups WHERE county = '' AND known = ''`).
			Scan(&first, &newest)
		if err == nil && first == 0 {
			err = q.QueryRowContext(ctx, `SELECT coalesce(min(enrolled_at), 0) FROM hosts`).Scan(&first)
		}
		return err
	})
	if err != nil || first == 0 {
		return err
	}
	for end := (floorDiv(max(newest+1, first), keptMicros)+1)*keptMicros - 1; end <= until; end += keptMicros {
		if err := d.rollup(ctx, end); err != nil {
			return err
		}
	}
	if until > newest {
		if err := d.rollup(ctx, until); err != nil {
			return err
		}
	}
	return d.retell(ctx, day(first), day(until+1)-1)
}

// rollup keeps how everything stood at one instant, lets go of those that are no
// longer needed between those, and notes which hosts became stale.
func (d *DB) rollup(ctx context.Context, at int64) error {
	what := "roll up as of " + clock(at).Format(time.RFC3339)
	var t *tally
	if err := d.Snapshot(ctx, what, func(q Querier) (err error) {
		if t, err = d.countAt(ctx, q, then(at)); err != nil {
			return err
		}
		return d.missing(ctx, q, t, then(at))
	}); err != nil {
		return err
	}
	return d.Write(ctx, what, func(tx Querier) error {
		var before int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(at), 0) FROM rollups WHERE county = '' AND known = ''`).Scan(&before); err != nil {
			return err
		}
		if before >= at { // another process was sooner
			return nil
		}
		var state muster.CountyStanding
		var args []any
		for _, county := range slices.Sorted(maps.Keys(t.counties)) {
			c := t.counties[county].CountyStanding
			if c == (muster.CountyStanding{County: county}) {
				continue
			}
			args = append(args, rollupRow(muster.KnownThen, at, c, t.text(county), "")...)
			state.Add(c)
		}
		// Writers wait meanwhile: many rows a statement.
		if err := putAll(ctx, tx, append(args, rollupRow(muster.KnownThen, at, state, "", "")...)); err != nil {
			return err
		}
		if err := d.noteStale(ctx, tx, before, at); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM rollups WHERE known = '' AND at < $1 AND (at + 1) % $2 <> 0`, at-keepBetween, keptMicros)
		return err
	})
}

func rollupRow(known muster.Knowledge, at int64, c muster.CountyStanding, controls, quiet string) []any {
	return []any{string(c.County), string(known), at, c.Hosts, c.Meeting, c.Failing, c.Unknown, c.Stale, c.Pending, c.Missing, c.Invented, controls, quiet}
}

func put(ctx context.Context, tx Querier, known muster.Knowledge, at int64, c muster.CountyStanding, controls, quiet string) error {
	return putAll(ctx, tx, rollupRow(known, at, c, controls, quiet))
}

// putAll writes rows of rollupRow in place of those that are there.
func putAll(ctx context.Context, tx Querier, rows []any) error {
	return insert(ctx, tx, `rollups (county, known, at, hosts, meeting, failing, unknown, stale, pending, missing, invented, controls, quiet)`, rows,
		`ON CONFLICT (county, known, at) DO UPDATE SET hosts = excluded.hosts, meeting = excluded.meeting, failing = excluded.failing,
			unknown = excluded.unknown, stale = excluded.stale, pending = excluded.pending, missing = excluded.missing,
			invented = excluded.invented, controls = excluded.controls, quiet = excluded.quiet`)
}

// noteStale makes an event of each host that became stale between two roll-ups and
// still is.
func (d *DB) noteStale(ctx context.Context, tx Querier, after, until int64) error {
	list, err := rows(ctx, tx, func(r *sql.Rows) (e muster.Event, err error) {
		var hostname string
		var stale int64
		err = r.Scan(&e.Host, &e.County, &hostname, &stale)
		e.Kind, e.At = muster.EventStale, clock(stale)
		e.Text = fmt.Sprintf("%s was silent for too long", hostname)
		return e, err
	}, `SELECT h.id, h.county, v.hostname, h.stale_at FROM hosts h JOIN versions v ON v.host = h.id AND v.n = h.version
		WHERE h.stale_day BETWEEN $1 AND $2 AND h.stale_at > $3 AND h.stale_at <= $4 AND `+counted+` ORDER BY h.stale_at, h.id`,
		day(after), day(until), after, until)
	for _, e := range list {
		if err == nil {
			err = d.event(ctx, tx, e)
		}
	}
	return err
}

// retell counts in hindsight the days from first to last: those that were not counted
// yet, and those that late reports told more about.
func (d *DB) retell(ctx context.Context, first, last int64) error {
	if err := d.openDays(ctx, first, last); err != nil {
		return err
	}
	for {
		more := false
		err := d.Write(ctx, "retell a day", func(tx Querier) error {
			var county muster.County
			var day int64
			err := tx.QueryRowContext(ctx, `SELECT county, day FROM retold WHERE day <= $1 ORDER BY day, county LIMIT 1`, last).Scan(&county, &day)
			if err == sql.ErrNoRows {
				return nil
			} else if err != nil {
				return err
			}
			more = true
			// First, so that a report that tells more meanwhile waits and marks it again.
			next := max(day, first-1) + 1
			if _, err := tx.ExecContext(ctx, `UPDATE retold SET day = $1 WHERE county = $2`, next, string(county)); err != nil || day < first {
				return err
			}
			i := instant{at: present, clock: dayEnd(day), hindsight: true}
			t := newTally()
			if err := d.count(ctx, tx, t, i, county); err != nil {
				return err
			}
			if err := d.missing(ctx, tx, t, i); err != nil {
				return err
			}
			quiet, err := d.quiet(ctx, tx, i, county, maxQuiet)
			if err != nil {
				return err
			}
			return put(ctx, tx, muster.KnownNow, i.clock, t.county(county).CountyStanding, t.text(county), quietText(quiet))
		})
		if err != nil || !more {
			return err
		}
	}
}

// openDays marks every county for the days that have not been counted in hindsight.
func (d *DB) openDays(ctx context.Context, first, last int64) error {
	return d.Write(ctx, "open days", func(tx Querier) error {
		var newest int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(at), 0) FROM rollups WHERE county = '' AND known = $1`, string(muster.KnownNow)).Scan(&newest); err != nil {
			return err
		}
		first = max(first, day(newest)+1)
		for day := first; day <= last; day++ {
			if err := put(ctx, tx, muster.KnownNow, dayEnd(day), muster.CountyStanding{}, "", ""); err != nil {
				return err
			}
		}
		if first > last {
			return nil
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO retold (county, day) SELECT DISTINCT county, CAST($1 AS bigint) FROM hosts WHERE true
			ON CONFLICT (county) DO UPDATE SET day = CASE WHEN retold.day < excluded.day THEN retold.day ELSE excluded.day END`, first)
		return err
	})
}

// hindsight reads the roll-ups of the last day that had ended, and counts anew what
// none was made of yet.
func (d *DB) hindsight(ctx context.Context, q Querier, i instant, county muster.County) (*tally, error) {
	i, rolled, untold, err := d.told(ctx, q, i)
	if err != nil {
		return nil, err
	}
	t := newTally()
	if !rolled {
		if err := d.count(ctx, q, t, i, county); err != nil {
			return nil, err
		}
		return t, d.missing(ctx, q, t, i)
	}
	if err := d.load(ctx, q, t, muster.KnownNow, i.clock, county); err != nil {
		return nil, err
	}
	counted := maps.Clone(t.counties)
	for _, c := range untold {
		if counted[c] == nil && (county == "" || c == county) {
			if err := d.count(ctx, q, t, i, c); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// told is the end of the last day that had ended, whether it was counted in hindsight,
// and the counties that were not or that late reports told more about.
func (d *DB) told(ctx context.Context, q Querier, i instant) (end instant, rolled bool, untold []muster.County, err error) {
	last := day(i.clock+1) - 1
	i.clock = dayEnd(last)
	if err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM rollups WHERE county = '' AND known = $1 AND at = $2)`,
		string(muster.KnownNow), i.clock).Scan(&rolled); err != nil || !rolled {
		return i, false, nil, err
	}
	untold, err = rows(ctx, q, func(r *sql.Rows) (c muster.County, err error) { return c, r.Scan(&c) },
		`SELECT county FROM retold WHERE day <= $1`, last)
	return i, true, untold, err
}

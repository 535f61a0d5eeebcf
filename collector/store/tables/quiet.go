package tables

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// maxQuiet is how many hosts of a county a roll-up names.
const maxQuiet = 100

// quiet is a host that was silent for too long, and since when.
type quiet struct {
	host  muster.HostID
	since int64
}

// Quiet are the stale hosts, the longest silent first. In hindsight those of the state are
// as of the end of the last UTC day that had ended by then, and as new as the last Rollup.
func (d *DB) Quiet(ctx context.Context, v muster.View, county muster.County, limit int) ([]muster.HostStanding, error) {
	var list []muster.HostStanding
	i := d.instant(v)
	err := d.Snapshot(ctx, "read quiet hosts", func(q Querier) (err error) {
		var found []quiet
		if i.hindsight && county == "" {
			i, found, err = d.quietInHindsight(ctx, q, i, limit)
		} else {
			found, err = d.quiet(ctx, q, i, county, limit)
		}
		if err != nil {
			return err
		}
		ids := make([]muster.HostID, len(found))
		for n, f := range found {
			ids[n] = f.host
		}
		list, err = d.standings(ctx, q, i, ids, "")
		return err
	})
	return list, err
}

// quiet are the stale hosts, or a county's.
func (d *DB) quiet(ctx context.Context, q Querier, i instant, county muster.County, limit int) ([]quiet, error) {
	ask := d.ask(i)
	of := ask.everyone(county)
	if county == "" && !i.hindsight {
		of = ask.silent()
	}
	var silent, from string
	switch {
	case i.now(): // hosts say all that it takes
		silent = "CASE WHEN h.last_seen > h.enrolled_at THEN h.last_seen ELSE h.enrolled_at END"
		from = " FROM " + of.tables + " WHERE " + of.where + " AND " + inUse
	case i.hindsight:
		silent = "coalesce(n.about_at, h.enrolled_at)"
		from = ask.from(of, true) + " AND " + counted
	default:
		silent = "CASE WHEN coalesce(n.received_at, a.received_at) > h.enrolled_at THEN coalesce(n.received_at, a.received_at) ELSE h.enrolled_at END"
		from = ask.from(of, true) + " AND " + counted
	}
	return rows(ctx, q, func(r *sql.Rows) (s quiet, err error) { return s, r.Scan(&s.host, &s.since) },
		`SELECT h.id, `+silent+` AS silent`+from+` AND `+ask.stale()+` ORDER BY silent, h.id LIMIT `+ask.arg(most(limit)), ask.args...)
}

// silent are the hosts that were silent for too long, as it was shown.
func (q *question) silent() source {
	clock, today := q.arg(q.clock), q.arg(day(q.clock))
	if q.now() {
		return source{"hosts h", fmt.Sprintf("h.stale_day <= %s AND h.stale_at <= %s", today, clock)}
	}
	return these(fmt.Sprintf(`SELECT id AS host FROM hosts WHERE stale_day <= %[2]s AND stale_at <= %[1]s
		UNION ALL SELECT host FROM silences WHERE until_at > %[1]s AND from_at <= %[1]s`, clock, today))
}

// quietInHindsight are those that the roll-ups of the last day that had ended name, and
// the instant of that. Where a roll-up may not name all that are wanted, or is not there,
// they are looked for.
func (d *DB) quietInHindsight(ctx context.Context, q Querier, i instant, limit int) (instant, []quiet, error) {
	i, rolled, search, err := d.told(ctx, q, i)
	if err != nil {
		return i, nil, err
	}
	if !rolled {
		all, err := d.quiet(ctx, q, i, "", limit)
		return i, all, err
	}
	var all []quiet
	_, err = rows(ctx, q, func(r *sql.Rows) (struct{}, error) {
		var county muster.County
		var text string
		if err := r.Scan(&county, &text); err != nil || slices.Contains(search, county) {
			return struct{}{}, err
		}
		named, err := parseQuiet(text)
		if err != nil {
			return struct{}{}, fmt.Errorf("roll-up of county %s: %w", county, err)
		}
		if len(named) >= maxQuiet && most(limit) > maxQuiet {
			search = append(search, county)
			return struct{}{}, nil
		}
		all = append(all, named...)
		return struct{}{}, nil
	}, `SELECT county, quiet FROM rollups WHERE known = $1 AND at = $2 AND quiet <> ''`, string(muster.KnownNow), i.clock)
	for _, c := range search {
		var more []quiet
		if err == nil {
			more, err = d.quiet(ctx, q, i, c, limit)
		}
		all = append(all, more...)
	}
	slices.SortFunc(all, func(a, b quiet) int {
		return cmp.Or(cmp.Compare(a.since, b.since), strings.Compare(string(a.host), string(b.host)))
	})
	return i, all[:min(int64(len(all)), most(limit))], err
}

// quietText is what parseQuiet reads: a line a host, its id, a space and since when.
func quietText(list []quiet) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintln(&b, s.host, s.since)
	}
	return b.String()
}

func parseQuiet(lines string) ([]quiet, error) {
	var list []quiet
	for line := range strings.Lines(lines) {
		id, since, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		at, err := strconv.ParseInt(since, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %q is not a host and since when: %w", line, err)
		}
		list = append(list, quiet{muster.HostID(id), at})
	}
	return list, nil
}

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

// maxQuiet is how many hosts of a county a roll-up names: as many as a page shows.
const maxQuiet = 200

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
		switch {
		case i.hindsight && county == "":
			i, found, err = d.quietInHindsight(ctx, q, i, limit)
		case i.hindsight || i.now():
			found, err = d.quiet(ctx, q, i, county, limit)
		default:
			found, err = d.quietThen(ctx, q, i, county)
		}
		// Mostly all of the first are wanted.
		for n := most(limit); err == nil && len(found) > 0 && int64(len(list)) < most(limit); n *= 2 {
			var ids []muster.HostID
			for _, f := range found[:min(int64(len(found)), n)] {
				ids = append(ids, f.host)
			}
			found = found[len(ids):]
			var hosts []muster.HostStanding
			hosts, err = d.standings(ctx, q, i, ids, "")
			list = append(list, slices.DeleteFunc(hosts, func(h muster.HostStanding) bool {
				return h.State != muster.HostActive || h.ReplacedBy != "" || county != "" && h.County != county
			})...)
		}
		return err
	})
	return list[:min(int64(len(list)), most(limit))], err
}

// The SQL for since when a host h was silent, by its newest report.
const (
	silentNow  = "CASE WHEN h.last_seen > h.enrolled_at THEN h.last_seen ELSE h.enrolled_at END"
	silentThen = "CASE WHEN coalesce(n.received_at, a.received_at) > h.enrolled_at THEN coalesce(n.received_at, a.received_at) ELSE h.enrolled_at END"
)

func scanQuiet(r *sql.Rows) (s quiet, err error) { return s, r.Scan(&s.host, &s.since) }

// quiet are the stale hosts, or a county's, now or in hindsight: hosts say how each is
// registered.
func (d *DB) quiet(ctx context.Context, q Querier, i instant, county muster.County, limit int) ([]quiet, error) {
	ask := d.ask(i)
	of, silent, stale := ask.everyone(county), silentNow, ""
	if i.hindsight {
		silent = `coalesce((SELECT r.about_at FROM reports r WHERE ` + d.OfHost("r") + ` AND r.about_at <= ` + ask.arg(i.clock) +
			` ORDER BY r.about_at DESC LIMIT 1), h.enrolled_at)`
		stale = ask.overdue(silent, "h.profile")
	} else {
		if county == "" {
			of = ask.silent()
		}
		stale = ask.stale()
	}
	return rows(ctx, q, scanQuiet, `SELECT h.id, `+silent+` AS silent FROM `+of.tables+` WHERE `+of.where+` AND `+inUse+` AND `+stale+
		` ORDER BY silent, h.id LIMIT `+ask.arg(most(limit)), ask.args...)
}

// quietThen are the hosts that were silent for too long, as it was shown, and some that did
// not count or were not in the county then. Since when one that still is silent has been,
// hosts say without a look at its reports.
func (d *DB) quietThen(ctx context.Context, q Querier, i instant, county muster.County) ([]quiet, error) {
	ask := d.ask(i)
	clock, today := ask.arg(i.clock), ask.arg(day(i.clock))
	in := func(host string) string {
		if county == "" {
			return ""
		}
		return ` AND EXISTS (SELECT 1 FROM residents d WHERE d.county = ` + ask.arg(string(county)) + ` AND d.host = ` + host + `)`
	}
	again := these(`SELECT host FROM silences s WHERE s.until_at > ` + clock + ` AND s.from_at <= ` + clock + in("s.host"))
	return rows(ctx, q, scanQuiet, `SELECT h.id, `+silentNow+` AS silent FROM hosts h WHERE h.stale_day <= `+today+` AND h.stale_at <= `+clock+in("h.id")+`
		UNION ALL SELECT h.id, `+silentThen+ask.from(again, true)+` ORDER BY 2, 1`, ask.args...)
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

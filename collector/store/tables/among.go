package tables

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// HostsAmong are active hosts that have one of the ids.
func (d *DB) HostsAmong(ctx context.Context, county muster.County, ids []muster.HostID) (list []muster.HostStanding, err error) {
	err = d.Snapshot(ctx, "read hosts", func(q Querier) error {
		var there []muster.HostID
		for some := range slices.Chunk(ids, atOnce) {
			ask, in := d.ask(d.instant(muster.View{})), make([]string, len(some))
			for k, id := range some {
				in[k] = ask.arg(string(id))
			}
			query := `SELECT h.id` + ask.from(source{"hosts h", "h.id IN (" + strings.Join(in, ", ") + ")"}, false) + ` AND v.state = 'active'`
			if county != "" {
				query += ` AND v.county = ` + ask.arg(string(county))
			}
			found, err := rows(ctx, q, func(r *sql.Rows) (id muster.HostID, err error) { return id, r.Scan(&id) }, query, ask.args...)
			if err != nil {
				return err
			}
			there = append(there, found...)
		}
		list, err = d.standings(ctx, q, d.instant(muster.View{}), there, "")
		return err
	})
	return list, err
}

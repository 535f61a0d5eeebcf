package tables

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// KeepCustody keeps the steps of reports on removable media, each once.
func (d *DB) KeepCustody(ctx context.Context, steps []muster.CustodyEvent) error {
	return d.Write(ctx, "keep custody", func(tx Querier) error {
		hosts := map[muster.HostID]bool{}
		var args []any
		for _, e := range steps {
			hosts[e.Host] = true
			args = append(args, string(e.Host), e.File, seconds(e.At), e.Act, e.By, int64(e.From), int64(e.To))
		}
		if err := insert(ctx, tx, `custody (host, file, at, act, by, from_seq, to_seq)`, args, `ON CONFLICT DO NOTHING`); err != nil {
			return err
		}
		for _, host := range slices.Sorted(maps.Keys(hosts)) {
			_, err := tx.ExecContext(ctx, `DELETE FROM custody WHERE host = $1 AND id <= (
				SELECT id FROM custody WHERE host = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)`, string(host), store.MaxCustody)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Custody returns the steps of a host's reports.
func (d *DB) Custody(ctx context.Context, id muster.HostID) ([]muster.CustodyEvent, error) {
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (e muster.CustodyEvent, err error) {
		var at, from, to int64
		err = r.Scan(&e.Host, &e.File, &at, &e.Act, &e.By, &from, &to)
		e.At, e.From, e.To = fromSeconds(at), uint64(from), uint64(to)
		return e, err
	}, `SELECT host, file, at, act, by, from_seq, to_seq FROM custody WHERE host = $1
		ORDER BY min(id) OVER (PARTITION BY file), at, id`, string(id))
	return list, d.Wrap("read the custody of host "+string(id), err)
}

package sqlite

import (
	"context"
	"database/sql"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
)

// KeepCustody keeps the steps of reports on removable media, each once.
func (s *Store) KeepCustody(ctx context.Context, steps []muster.CustodyEvent) error {
	return s.write(ctx, "keep custody", func(tx *sql.Conn) error {
		hosts := map[muster.HostID]bool{}
		for _, e := range steps {
			hosts[e.Host] = true
			_, err := tx.ExecContext(ctx, `INSERT INTO custody (host, file, at, act, by, from_seq, to_seq) VALUES (?, ?, ?, ?, ?, ?, ?)
				ON CONFLICT DO NOTHING`, e.Host, e.File, unix(e.At), e.Act, e.By, e.From, e.To)
			if err != nil {
				return err
			}
		}
		for host := range hosts {
			_, err := tx.ExecContext(ctx, `DELETE FROM custody WHERE host = ?1 AND id <= (
				SELECT id FROM custody WHERE host = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`, host, store.MaxCustody)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Custody returns the steps of a host's reports, by file in the order in which
// these came first, and by time within one.
func (s *Store) Custody(ctx context.Context, id muster.HostID) ([]muster.CustodyEvent, error) {
	return rows(ctx, s, "read the custody of host "+string(id), func(r *sql.Rows) (e muster.CustodyEvent, err error) {
		var at int64
		err = r.Scan(&e.Host, &e.File, &at, &e.Act, &e.By, &e.From, &e.To)
		e.At = clock(at)
		return e, err
	}, `SELECT host, file, at, act, by, from_seq, to_seq FROM custody WHERE host = ?
		ORDER BY min(id) OVER (PARTITION BY file), at, id`, id)
}

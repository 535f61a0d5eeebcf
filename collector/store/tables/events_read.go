package tables

import (
	"context"
	"database/sql"
	"math"

	"github.com/passmuster/muster"
)

// Events are newest first, of a county or with "" all, those with a lower id than
// before (0 for all), at most limit.
func (d *DB) Events(ctx context.Context, county muster.County, before int64, limit int) ([]muster.Event, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (e muster.Event, err error) {
		var at int64
		err = r.Scan(&e.ID, &at, &e.Kind, &e.County, &e.Host, &e.Text)
		e.At = clock(at)
		return e, err
	}, `SELECT id, at, kind, county, host, text FROM events WHERE id < $1 AND ($2 = '' OR county = $2)
		ORDER BY id DESC LIMIT $3`, before, string(county), limit)
	return list, d.Wrap("read events", err)
}

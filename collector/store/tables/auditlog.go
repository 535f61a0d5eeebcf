package tables

import (
	"context"
	"database/sql"
	"math"

	"github.com/passmuster/muster"
)

// Log appends to the audit log.
func (d *DB) Log(ctx context.Context, e muster.LogEntry) error {
	return d.Write(ctx, "log "+e.Action, func(tx Querier) error { return d.logEntry(ctx, tx, e) })
}

// AuditLog returns the newest entries first.
func (d *DB) AuditLog(ctx context.Context, before int64, limit int) ([]muster.LogEntry, error) {
	if before == 0 {
		before = math.MaxInt64
	}
	list, err := rows(ctx, d.Read, func(r *sql.Rows) (e muster.LogEntry, err error) {
		var at int64
		err = r.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Object)
		e.At = clock(at)
		return e, err
	}, `SELECT id, at, actor, action, object FROM audit_log WHERE id < $1 ORDER BY id DESC LIMIT $2`, before, limit)
	return list, d.Wrap("read audit log", err)
}

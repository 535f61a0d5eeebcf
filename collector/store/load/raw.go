package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// rates of a database written raw, a second.
type rates struct {
	upserts float64 // reports of 60 findings each, and on PostgreSQL 5 KB kept beside
	touches float64 // host rows, each in a transaction of its own
}

func (r rates) mean(s rates) rates {
	harmonic := func(a, b float64) float64 { return 2 / (1/a + 1/b) }
	return rates{harmonic(r.upserts, s.upserts), harmonic(r.touches, s.touches)}
}

// How long each rate is taken.
const rawFor = 3 * time.Second

const (
	rawHosts = 2000
	perTx    = 100 // reports of a transaction on SQLite
	writers  = 8   // connections on PostgreSQL
)

// raw writes 60 findings a report as fast as the database takes them: SQLite by one
// writer, 100 reports a transaction; PostgreSQL by eight connections, a report a
// transaction, by arrays.
func raw(ctx context.Context, d database) (r rates, err error) {
	dsn, err := d.fresh()
	if err != nil {
		return r, err
	}
	source := dsn
	if d.name == sqliteName {
		source = "file:" + dsn + ".raw?_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=busy_timeout(10000)&_pragma=wal_autocheckpoint(8000)&_pragma=cache_size(-65536)"
	}
	db, err := sql.Open(d.driver, source)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	blob, without := "BYTEA", ""
	if d.name == sqliteName {
		db.SetMaxOpenConns(1)
		blob, without = "BLOB", " WITHOUT ROWID"
	}
	for _, q := range []string{
		`CREATE TABLE IF NOT EXISTS raw_findings (host TEXT, control TEXT, status INTEGER, at BIGINT, PRIMARY KEY (host, control))` + without,
		`CREATE TABLE IF NOT EXISTS raw_hosts (id TEXT PRIMARY KEY, seq BIGINT, seen BIGINT)`,
		`CREATE TABLE IF NOT EXISTS raw_bodies (host TEXT, seq BIGINT, body ` + blob + `)`,
		`DELETE FROM raw_hosts`,
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return r, err
		}
	}
	for n := range rawHosts {
		if _, err := db.ExecContext(ctx, `INSERT INTO raw_hosts VALUES ($1, 0, 0)`, rawID(n)); err != nil {
			return r, err
		}
	}
	if d.name == sqliteName {
		r.upserts, err = rawSQLite(ctx, db)
	} else {
		r.upserts, err = rawPostgres(ctx, db)
	}
	if err != nil {
		return r, err
	}
	n := writers
	if d.name == sqliteName {
		n = 1
	}
	r.touches, err = rate(n, func(w, i int) (int, error) {
		_, err := db.ExecContext(ctx, `UPDATE raw_hosts SET seq = $1, seen = $2 WHERE id = $3`, i, i, rawID((w+i*n)%rawHosts))
		return 1, err
	})
	return r, err
}

func rawID(n int) string { return fmt.Sprintf("h%026d", n) }

// rate runs do on so many goroutines for rawFor and gives how much they did a second.
func rate(workers int, do func(worker, turn int) (int, error)) (float64, error) {
	var all sync.WaitGroup
	failed, done := make([]error, workers), make([]int, workers)
	start := time.Now()
	for w := range workers {
		all.Go(func() {
			for i := 0; time.Since(start) < rawFor && failed[w] == nil; i++ {
				var n int
				n, failed[w] = do(w, i)
				done[w] += n
			}
		})
	}
	all.Wait()
	took, sum := time.Since(start).Seconds(), 0
	for _, n := range done {
		sum += n
	}
	return float64(sum) / took, errors.Join(failed...)
}

func rawSQLite(ctx context.Context, db *sql.DB) (float64, error) {
	stmt, err := db.PrepareContext(ctx, `INSERT INTO raw_findings (host, control, status, at) VALUES `+
		strings.TrimSuffix(strings.Repeat("(?,?,?,?),", controls), ",")+
		` ON CONFLICT (host, control) DO UPDATE SET status = excluded.status, at = excluded.at`)
	if err != nil {
		return 0, err
	}
	defer stmt.Close()
	return rate(1, func(_, turn int) (int, error) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		defer tx.Rollback()
		in := tx.StmtContext(ctx, stmt)
		args := make([]any, 0, 4*controls)
		for i := range perTx {
			args = args[:0]
			for c := range controls {
				args = append(args, rawID((turn*perTx+i)%rawHosts), control(c), (turn+c)%4, turn)
			}
			if _, err := in.ExecContext(ctx, args...); err != nil {
				return 0, err
			}
		}
		return perTx, tx.Commit()
	})
}

func rawPostgres(ctx context.Context, db *sql.DB) (float64, error) {
	db.SetMaxIdleConns(writers)
	body := make([]byte, 5<<10)
	return rate(writers, func(w, turn int) (int, error) {
		id := rawID((w + turn*writers) % rawHosts)
		hosts, names, statuses, at := make([]string, controls), make([]string, controls), make([]int32, controls), make([]int64, controls)
		for c := range controls {
			hosts[c], names[c], statuses[c], at[c] = id, control(c), int32((turn+c)%4), int64(turn)
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, `INSERT INTO raw_findings SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[])
			ON CONFLICT (host, control) DO UPDATE SET status = excluded.status, at = excluded.at`, hosts, names, statuses, at); err != nil {
			return 0, err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO raw_bodies VALUES ($1, $2, $3)`, id, turn, body); err != nil {
			return 0, err
		}
		return 1, tx.Commit()
	})
}

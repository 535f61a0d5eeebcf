package postgres

import (
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/postgres/pgtest"
)

const (
	benchHosts    = 2048
	benchControls = 60
	benchBatch    = 256
	benchWriters  = 8 // connections of the raw lines
)

// BenchmarkCommit stores reports, one a host, 256 a transaction, beside as many rows
// written raw: 60 upserted and a body of 5 KB a report, and one host row touched.
func BenchmarkCommit(b *testing.B) {
	server := pgtest.Start(b)
	s := mustOpen(b, server.NewDatabase(b), store.Options{})
	defer s.Close()
	var ids []muster.HostID
	for n := range benchHosts {
		ids = append(ids, enroll(b, s, n))
	}
	seq := uint64(0)
	for _, kind := range []struct {
		name   string
		differ bool
	}{{"Full", true}, {"Unchanged", false}} {
		b.Run(kind.name, func(b *testing.B) {
			for done := 0; done < b.N; {
				seq++
				var batch []muster.Accepted
				for i, id := range ids {
					r := report(id, seq)
					r.Envelope.Body, r.Verdicts = make([]byte, 5<<10), nil
					for c := range benchControls {
						status := c
						if kind.differ {
							status += int(seq)
						}
						r.Verdicts = append(r.Verdicts, muster.Verdict{Control: fmt.Sprintf("MVS-%02d", c), Status: muster.Status(status % 4)})
					}
					if !kind.differ {
						r.Envelope.Body = make([]byte, 200)
					}
					if batch = append(batch, r); len(batch) == benchBatch || i == len(ids)-1 {
						if _, err := s.Commit(b.Context(), batch); err != nil {
							b.Fatal(err)
						}
						done += len(batch)
						batch = nil
					}
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
		})
	}
	benchRaw(b, s.pool)
}

func benchRaw(b *testing.B, pool *pgxpool.Pool) {
	_, err := pool.Exec(b.Context(), `CREATE TABLE raw_findings (host text, control text, status int, at bigint, PRIMARY KEY (host, control));
		CREATE TABLE raw_bodies (host text, at bigint, body bytea);
		CREATE TABLE raw_hosts (id text PRIMARY KEY, seen bigint);
		INSERT INTO raw_hosts SELECT 'host ' || n, 0 FROM generate_series(0, 2047) n`)
	must(b, err)
	body, names := make([]byte, 5<<10), make([]string, benchControls)
	for c := range names {
		names[c] = fmt.Sprintf("MVS-%02d", c)
	}
	for name, do := range map[string]func(tx pgx.Tx, host string, n int) error{
		"RawUpserts": func(tx pgx.Tx, host string, n int) error {
			_, err := tx.Exec(b.Context(), `INSERT INTO raw_findings SELECT $1, c, $3::bigint::int % 4, $3::bigint FROM unnest($2::text[]) c
				ON CONFLICT (host, control) DO UPDATE SET status = excluded.status, at = excluded.at`, host, names, n)
			if err == nil {
				_, err = tx.Exec(b.Context(), `INSERT INTO raw_bodies VALUES ($1, $2, $3)`, host, n, body)
			}
			return err
		},
		"RawTouches": func(tx pgx.Tx, host string, n int) error {
			_, err := tx.Exec(b.Context(), `UPDATE raw_hosts SET seen = $2 WHERE id = $1`, host, n)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			var all sync.WaitGroup
			for w := range benchWriters {
				all.Go(func() {
					for n := w; n < b.N; n += benchWriters {
						err := pgx.BeginFunc(b.Context(), pool, func(tx pgx.Tx) error { return do(tx, fmt.Sprint("host ", n%benchHosts), n) })
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
		})
	}
}

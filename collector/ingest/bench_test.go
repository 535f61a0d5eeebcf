//go:build unix

package ingest_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

const (
	connections = 32
	benchHosts  = 500
	benchRounds = 8 // reports of each host
)

// load is what hosts will send, round by round.
type load struct {
	hosts  []*host
	rounds [][]body
	bytes  int
}

// body is that of one request, with so many reports in it.
type body struct {
	bytes   []byte
	reports int
}

// prepare makes the load. change is called before every report but the first.
// perRequest reports of as many hosts share a request, as a courier's do.
func prepare(b *testing.B, hosts, rounds, perRequest int, change func(h *host, round int)) *load {
	return prepareFor(b, func(i int) *host { return newHost(b, uint64(i)) }, hosts, rounds, perRequest, change)
}

func prepareFor(b *testing.B, make func(int) *host, hosts, rounds, perRequest int, change func(h *host, round int)) *load {
	l := &load{}
	for i := range hosts {
		l.hosts = append(l.hosts, make(i))
	}
	for round := range rounds {
		var bodies []body
		for i, h := range l.hosts {
			if round > 0 {
				change(h, round)
			}
			if i%perRequest == 0 {
				bodies = append(bodies, body{})
			}
			last := &bodies[len(bodies)-1]
			frame := batch(b, h.next())
			last.bytes, last.reports = append(last.bytes, frame...), last.reports+1
			l.bytes += len(frame)
		}
		l.rounds = append(l.rounds, bodies)
	}
	return l
}

// shipAll sends the bodies over parallel connections and gives the reports that
// were stored and receipted.
func shipAll(b *testing.B, url string, bodies []body) int {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var next, receipted atomic.Int64
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(bodies); i = int(next.Add(1)) - 1 {
				resp, err := client.Post(url+"/v1/reports", wire.TypeSeq, bytes.NewReader(bodies[i].bytes))
				if err != nil {
					b.Error(err)
					return
				}
				answer, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err == nil && resp.StatusCode == http.StatusOK {
					receipted.Add(int64(bytes.Count(answer, []byte(wire.CodeStored))))
				}
			}
		})
	}
	all.Wait()
	return int(receipted.Load())
}

// bench reports what the collector takes in, with the load generator on the
// same processors: reports/s, each verified, committed and receipted over HTTP;
// raw-reports/s, the same rows only written (see raw), before and after; and
// the one as %-of-raw.
func bench(b *testing.B, l *load, warm int, raw func(*testing.B) float64) {
	before := raw(b)
	var took, cpu time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		lab := newLab(b)
		for _, h := range l.hosts {
			h.enrolled(lab.url)
		}
		for _, bodies := range l.rounds[:warm] {
			shipAll(b, lab.url, bodies)
		}
		b.StartTimer()
		start, startCPU := time.Now(), cpuTime(b)
		for _, bodies := range l.rounds[warm:] {
			if got := shipAll(b, lab.url, bodies); got != len(l.hosts) {
				b.Fatalf("%d of %d reports were receipted", got, len(l.hosts))
			}
			n += len(l.hosts)
		}
		took, cpu = took+time.Since(start), cpu+cpuTime(b)-startCPU
		b.StopTimer()
		lab.stop()
		b.StartTimer()
	}
	rate := float64(n) / took.Seconds()
	b.ReportMetric(rate, "reports/s")
	b.ReportMetric(float64(l.bytes)/float64(len(l.hosts)*len(l.rounds)), "B/report")
	// Of both sides together: what a busy machine does not change.
	b.ReportMetric(float64(cpu.Microseconds())/float64(n), "cpu-µs/report")
	ceiling := 2 / (1/before + 1/raw(b))
	b.ReportMetric(ceiling, "raw-reports/s")
	b.ReportMetric(100*rate/ceiling, "%-of-raw")
	b.ReportMetric(0, "ns/op") // of a whole run; says nothing
}

// cpuTime is what this process has used, user and system.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIngestFull: the first report of every host, 60 findings and 60
// transitions each. raw-reports/s writes the same rows without asking anything.
func BenchmarkIngestFull(b *testing.B) {
	bench(b, prepare(b, benchHosts*4, 1, 1, nil), 0, func(b *testing.B) float64 { return raw(b, 60, 60) })
}

// BenchmarkIngestAllDiffer: every verdict of every report differs from the one before.
func BenchmarkIngestAllDiffer(b *testing.B) {
	l := prepare(b, benchHosts, benchRounds, 1, func(h *host, _ int) {
		for i := range h.report.Verdicts {
			v := &h.report.Verdicts[i]
			v.Status = (v.Status + 1) % 4
		}
	})
	bench(b, l, 1, func(b *testing.B) float64 { return raw(b, 60, 60) })
}

// BenchmarkIngestFewDiffer: three findings of sixty change.
func BenchmarkIngestFewDiffer(b *testing.B) {
	l := prepare(b, benchHosts, benchRounds, 1, func(h *host, round int) {
		for i := range 3 {
			v := &h.report.Verdicts[(round*3+i)%60]
			v.Status = (v.Status + 1) % 4
		}
	})
	bench(b, l, 1, func(b *testing.B) float64 { return raw(b, 3, 3) })
}

// BenchmarkIngestUnchangedLarge: only number and time differ, every signature is verified.
// One report a request, reports of 60 kB.
func BenchmarkIngestUnchangedLarge(b *testing.B) {
	bench(b, prepare(b, benchHosts, benchRounds, 1, func(*host, int) {}), 1, func(b *testing.B) float64 { return raw(b, 0, 0) })
}

// BenchmarkIngestUnchanged: reports as large as the sample of a real host.
func BenchmarkIngestUnchanged(b *testing.B) {
	bench(b, typical(b, 1), 1, func(b *testing.B) float64 { return raw(b, 0, 0) })
}

// BenchmarkIngestUnchangedCourier: the same, 25 reports of as many hosts a request.
func BenchmarkIngestUnchangedCourier(b *testing.B) {
	bench(b, typical(b, 25), 1, func(b *testing.B) float64 { return raw(b, 0, 0) })
}

func typical(b *testing.B, perRequest int) *load {
	return prepareFor(b, func(i int) *host { return newHostWith(b, uint64(i), 0, 2) }, benchHosts, benchRounds, perRequest, func(*host, int) {})
}

// raw is the ceiling: reports a second that are only rows, 100 to a
// transaction, written with the fewest statements into the same schema. Each
// report is one envelope, one host row, and so many findings and transitions.
func raw(b *testing.B, findings, transitions int) float64 {
	const reports, perTx = 4000, 100
	path := filepath.Join(b.TempDir(), "raw.db")
	labAt(b, path).stop() // the schema
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	must(b, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	insert := func(table, columns, suffix string, rows int) (*sql.Stmt, int) {
		n := strings.Count(columns, ",") + 1
		if rows == 0 {
			return nil, 0
		}
		row := "(" + strings.Repeat("?,", n-1) + "?)"
		stmt, err := db.Prepare(fmt.Sprintf("INSERT INTO %s (%s) VALUES %s%s %s", table, columns, strings.Repeat(row+",", rows-1), row, suffix))
		must(b, err)
		return stmt, n
	}
	envelope, _ := insert("envelopes", "host,seq,digest,received_at,changes,base,base_seq,depth,size,body", "", 1)
	hostRow, err := db.Prepare(`UPDATE hosts SET seq = ?, digest = ?, last_seen = ? WHERE id = ?`)
	must(b, err)
	enroll, _ := insert("hosts", "id,county,hostname,profile,platform,demo,public_key,state,enrolled_at,agent", "", 1)
	finding, _ := insert("findings", "host,control,status,waiver,evidence,since",
		"ON CONFLICT (host, control) DO UPDATE SET status = excluded.status, waiver = excluded.waiver, evidence = excluded.evidence, since = excluded.since", findings)
	transition, _ := insert("transitions", "host,seq,control,was,became,collected_at,received_at", "", transitions)
	full := transitions == 60
	size := 600
	if full {
		size = 8000
	}
	body, digest := make([]byte, size), make([]byte, 32)
	ids := make([]muster.HostID, benchHosts)
	for i := range ids {
		ids[i] = muster.NewHostID([]byte{byte(i), byte(i >> 8)})
		_, err := enroll.Exec(ids[i], "17031", "pc", "workstation", "linux", 0, digest, "active", 1, "1")
		must(b, err)
	}
	controls := make([]string, 60)
	for i := range controls {
		controls[i] = fmt.Sprintf("MVS-%03d", i)
	}
	start := time.Now()
	for n := 0; n < reports; {
		tx, err := db.Begin()
		must(b, err)
		run := func(stmt *sql.Stmt, args ...any) {
			if stmt != nil {
				_, err := tx.Stmt(stmt).Exec(args...)
				must(b, err)
			}
		}
		for range perTx {
			id, seq := ids[n%len(ids)], n/len(ids)+1
			run(envelope, id, seq, digest, 1, 0, digest, 0, 0, 60000, body)
			run(hostRow, seq, digest, n, id)
			var f, t []any
			for _, c := range controls[:findings] {
				f = append(f, id, c, (n+len(f))%4, "", digest[:8], n)
			}
			run(finding, f...)
			for _, c := range controls[:transitions] {
				t = append(t, id, seq, c, 1, 2, n, n)
			}
			run(transition, t...)
			n++
		}
		must(b, tx.Commit())
	}
	return reports / time.Since(start).Seconds()
}

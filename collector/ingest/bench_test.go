//go:build unix

package ingest_test

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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
				req, err := http.NewRequest(http.MethodPost, url+"/v1/reports", bytes.NewReader(bodies[i].bytes))
				if err != nil {
					b.Error(err)
					return
				}
				req.Header.Set("Authorization", "Bearer "+token)
				resp, err := client.Do(req)
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
// same processors: reports/s, each verified, committed and receipted over HTTP. The load
// tool of the store tells what that is beside the same rows written raw.
func bench(b *testing.B, l *load, warm int) {
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
	b.ReportMetric(float64(n)/took.Seconds(), "reports/s")
	b.ReportMetric(float64(l.bytes)/float64(len(l.hosts)*len(l.rounds)), "B/report")
	// Of both sides together: what a busy machine does not change.
	b.ReportMetric(float64(cpu.Microseconds())/float64(n), "cpu-µs/report")
	b.ReportMetric(0, "ns/op") // of a whole run; says nothing
}

// cpuTime is what this process has used, user and system.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIngestFull: the first report of every host, of 60 findings
// each.
func BenchmarkIngestFull(b *testing.B) {
	bench(b, prepare(b, benchHosts*4, 1, 1, nil), 0)
}

// BenchmarkIngestAllDiffer: every verdict of every report differs from the one before.
func BenchmarkIngestAllDiffer(b *testing.B) {
	l := prepare(b, benchHosts, benchRounds, 1, func(h *host, _ int) {
		for i := range h.report.Verdicts {
			v := &h.report.Verdicts[i]
			v.Status = (v.Status + 1) % 4
		}
	})
	bench(b, l, 1)
}

// BenchmarkIngestFewDiffer: three findings of sixty change.
func BenchmarkIngestFewDiffer(b *testing.B) {
	l := prepare(b, benchHosts, benchRounds, 1, func(h *host, round int) {
		for i := range 3 {
			v := &h.report.Verdicts[(round*3+i)%60]
			v.Status = (v.Status + 1) % 4
		}
	})
	bench(b, l, 1)
}

// BenchmarkIngestUnchangedLarge: only number and time differ, every signature is verified.
// One report a request, reports of 60 kB.
func BenchmarkIngestUnchangedLarge(b *testing.B) {
	bench(b, prepare(b, benchHosts, benchRounds, 1, func(*host, int) {}), 1)
}

// BenchmarkIngestUnchanged: reports as large as the sample of a real host.
func BenchmarkIngestUnchanged(b *testing.B) {
	bench(b, typical(b, 1), 1)
}

// BenchmarkIngestUnchangedCourier: the same, 25 reports of as many hosts a request.
func BenchmarkIngestUnchangedCourier(b *testing.B) {
	bench(b, typical(b, 25), 1)
}

func typical(b *testing.B, perRequest int) *load {
	return prepareFor(b, func(i int) *host { return newHostWith(b, uint64(i), 0, 2) }, benchHosts, benchRounds, perRequest, func(*host, int) {})
}

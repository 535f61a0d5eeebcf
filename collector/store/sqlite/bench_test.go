package sqlite

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/collector/store/storetest"
)

// BenchmarkCommit stores reports of 2,000 hosts with 60 controls each, 256 to a
// transaction: Full differ in all statuses from the ones before, Same in none.
func BenchmarkCommit(b *testing.B) {
	const hosts, batch = 2000, 256
	for name, step := range map[string]int{"Full": 1, "Same": 0} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(b.Context(), filepath.Join(b.TempDir(), "muster.db"), store.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			for n := range hosts {
				e := muster.Enrolled{Host: muster.Host{ID: storetest.HostID(n), County: muster.County(fmt.Sprintf("17%03d", n%102)), Profile: muster.Workstation}}
				if _, err := s.Enroll(b.Context(), e, true, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
			seqs := make([]uint64, hosts)
			next := 0
			commit := func(reports []muster.Accepted) {
				for i := range reports {
					n := next % hosts
					next++
					seqs[n]++
					reports[i] = full(n, seqs[n], step*int(seqs[n]))
				}
				b.StartTimer()
				defer b.StopTimer()
				if _, err := s.Commit(b.Context(), reports); err != nil {
					b.Fatal(err)
				}
			}
			reports := make([]muster.Accepted, batch)
			for next < hosts {
				commit(reports)
			}
			b.ResetTimer()
			b.StopTimer()
			for stored := 0; stored < b.N; stored += batch {
				commit(reports[:min(batch, b.N-stored)])
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
		})
	}
}

// full is a report of host n whose statuses all turn with turn.
func full(n int, seq uint64, turn int) muster.Accepted {
	id := storetest.HostID(n)
	digest := func(seq uint64) (d muster.Digest) {
		binary.BigEndian.PutUint64(d[:], seq)
		return d
	}
	a := muster.Accepted{
		Header: muster.Header{Host: id, Seq: seq, Hostname: "pc", Agent: "1.0.0", PolicyRevision: "2026.11", CollectedAt: time.Now(),
			PolicyDigest: fmt.Sprintf("%064x", 7)},
		Envelope: muster.StoredEnvelope{Seq: seq, Digest: digest(seq), Body: make([]byte, 400)},
		Summary:  muster.Summary{Pass: 30, Fail: 30},
	}
	if seq > 1 {
		a.Header.Prev = digest(seq - 1)
	}
	for c := range 60 {
		a.Verdicts = append(a.Verdicts, muster.Verdict{Control: fmt.Sprintf("MVS-%03d", c), Status: muster.Status(1 + (c+turn)%2)})
	}
	return a
}

package outbox

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// BenchmarkCommit compares a commit, without the making and signing of the
// report, with the least that any program must do to keep the same bytes. Both
// take turns on one disk, beside a day of waiting reports.
func BenchmarkCommit(b *testing.B) {
	dir, bare, h := b.TempDir(), b.TempDir(), mustHost(b)
	o := mustOpen(b, dir)
	for range 24 {
		mustAppend(b, o, h.evidence(b, nil))
	}
	var commit, least time.Duration
	for b.Loop() {
		var building time.Duration
		start := time.Now()
		seq := mustAppend(b, o, h.evidence(b, &building))
		commit += time.Since(start) - building

		path := o.path(reportName(seq))
		file, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		if err := writeBare(bare, reportName(seq), file); err != nil {
			b.Fatal(err)
		}
		least += time.Since(start)
		if err := os.Remove(path); err != nil { // the depth stays
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(commit.Microseconds())/float64(b.N), "commit-µs/op")
	b.ReportMetric(float64(least.Microseconds())/float64(b.N), "bare-µs/op")
	b.ReportMetric(float64(commit)/float64(least), "commit/bare")
}

// evidence builds a report of the size that a baseline of sixty controls has.
func (h host) evidence(b *testing.B, took *time.Duration) Build {
	return func(seq uint64, prev muster.Digest, gap []muster.SeqRange) ([]byte, muster.Digest, error) {
		start := time.Now()
		r := h.report(seq, prev, gap, muster.StatusFail)
		r.Detail.Evidence = map[string]muster.Evidence{}
		random := rand.New(rand.NewPCG(seq, 0))
		for i := range 60 {
			e := muster.Evidence{Reason: "the list says so"}
			for range 8 {
				e.Notes = append(e.Notes, fmt.Sprintf("/usr/bin/program-%x belongs to nobody", random.Uint64()))
			}
			r.Detail.Evidence[fmt.Sprintf("MVS-X-%02d", i)] = e
		}
		content, err := wire.EncodeReport(r)
		if err != nil {
			return nil, muster.Digest{}, err
		}
		envelope, err := wire.Sign(wire.KindReport, content, h.key, string(h.id))
		if took != nil {
			*took = time.Since(start)
		}
		return envelope, muster.Digest(content[:32]), err
	}
}

// writeBare is a temporary file, fsync, rename, fsync of the folder.
func writeBare(dir, name string, data []byte) error {
	temp := filepath.Join(dir, ".temp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(temp, filepath.Join(dir, name))
	}
	if err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

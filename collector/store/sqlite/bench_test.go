package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store/storetest"
)

// BenchmarkStanding asks what the dashboard asks, of 5,000 hosts with 60
// findings each.
func BenchmarkStanding(b *testing.B) {
	const hosts, controls = 5000, 60
	ctx, now := b.Context(), time.Now()
	s, err := Open(ctx, filepath.Join(b.TempDir(), "muster.db"), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var reports []muster.Accepted
	for n := range hosts {
		id := storetest.HostID(n)
		county := muster.County(fmt.Sprintf("17%03d", n%102))
		if _, err := s.Enroll(ctx, muster.Enrolled{Host: muster.Host{ID: id, County: county, Profile: muster.Workstation}, PublicKey: []byte("k")}, true, now, now); err != nil {
			b.Fatal(err)
		}
		r := muster.Accepted{Header: muster.Header{Host: id, Seq: 1}, ReceivedAt: now, Envelope: muster.StoredEnvelope{Seq: 1, Body: []byte{1}}}
		for c := range controls {
			r.Verdicts = append(r.Verdicts, muster.Verdict{Control: fmt.Sprintf("MVS-%03d", c), Status: muster.Status((n + c) % 4), Evidence: []byte("evidence")})
		}
		reports = append(reports, r)
	}
	for len(reports) > 0 {
		if _, err := s.Commit(ctx, reports[:100]); err != nil {
			b.Fatal(err)
		}
		reports = reports[100:]
	}
	for name, ask := range map[string]func() error{
		"Counties":        func() error { _, err := s.Counties(ctx); return err },
		"Controls":        func() error { _, err := s.Controls(ctx); return err },
		"ControlFindings": func() error { _, err := s.ControlFindings(ctx, "MVS-007"); return err },
		"CountyFindings":  func() error { _, err := s.CountyFindings(ctx, "17031"); return err },
		"Host":            func() error { _, err := s.Host(ctx, storetest.HostID(7)); return err },
		"HostFindings":    func() error { _, err := s.HostFindings(ctx, storetest.HostID(7)); return err },
		"Changes":         func() error { _, err := s.Changes(ctx, 20); return err },
		"Quiet":           func() error { _, err := s.Quiet(ctx, 20); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := ask(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

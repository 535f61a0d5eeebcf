package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies/bundle"
)

// The demo's good hosts stay good, whenever it is shown.
func TestSoundHostsMeetTheBaseline(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	for _, now := range []time.Time{
		time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		time.Date(2028, 11, 23, 12, 0, 0, 0, time.UTC),
	} {
		sources, dir := t.TempDir(), t.TempDir()
		if err := stateSources(sources, now); err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Build(os.DirFS(sources), bundle.BuildOptions{Version: 1})
		if err != nil {
			t.Fatal(err)
		}
		s := &seeder{dir: dir, bundle: filepath.Join(dir, "bundle.tar.gz"), unsigned: true, now: now}
		if err := os.WriteFile(s.bundle, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.audit(t.Context(), []string{"sound", "ems sound"}); err != nil {
			t.Fatal(err)
		}
		for kind, res := range s.audits {
			if res.Audit.Summary.MeetsBaseline {
				continue
			}
			for _, f := range res.Audit.Findings {
				if (f.Status == muster.StatusFail || f.Status == muster.StatusUnknown) && f.Severity.Gates() {
					t.Errorf("%s, %s: %s: %s, %s %v", now.Format(time.DateOnly), kind, f.Control, f.Status, f.Reason, f.Violations)
				}
			}
		}
	}
}

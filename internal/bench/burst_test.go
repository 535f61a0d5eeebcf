package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBurst is the short form of the reconnect burst: nothing is lost.
func TestBurst(t *testing.T) {
	root := filepath.Join("..", "..")
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "./cmd/muster", "./cmd/muster-collector")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	r, err := burst(t.Context(), root, bin, t.TempDir(), 100, 24)
	if err != nil {
		t.Fatal(err)
	}
	if r.receipted != r.reports || r.stored != r.reports || r.reports != 2400 {
		t.Errorf("of %d reports, %d are receipted and %d stored", r.reports, r.receipted, r.stored)
	}
}

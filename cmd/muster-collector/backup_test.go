package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
)

// Computers that are expected, to have something to write.
const manyExpected = 15_000

// A backup that is killed leaves nothing that passes for one. A restore that is killed
// leaves nothing that passes for the collector, and can be begun again.
func TestKilledBackup(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	c, err := collector.Open(t.Context(), collector.Options{Data: data})
	must(t, err)
	list := make([]muster.ExpectedHost, manyExpected)
	for i := range list {
		list[i] = muster.ExpectedHost{Name: fmt.Sprint("pc", i), Note: fmt.Sprint(rand.Uint64())}
	}
	must(t, c.Expect(t.Context(), "17031", list, "console"))
	must(t, c.Close())
	whole := filepath.Join(t.TempDir(), "whole.backup")
	if out, code := command(t, "backup", whole, "--data", data); code != 0 {
		t.Fatal(out)
	}

	refused := 0
	for range 6 {
		dir := t.TempDir()
		p := process(t, "backup", filepath.Join(dir, "muster.backup"), "--data", data)
		killSoon(t, p, dir, 50*time.Millisecond)
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			// One that is whole may wait for its name.
			to := filepath.Join(t.TempDir(), "data")
			out, code := command(t, "restore", filepath.Join(dir, e.Name()), "--data", to)
			if code == 0 {
				wantExpected(t, to)
				continue
			}
			refused++
			if e.Name() == "muster.backup" || !strings.Contains(out, "is not a whole backup") {
				t.Errorf("%s: %s", e.Name(), out)
			}
			if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("something was written: %v", err)
			}
		}
	}
	if refused == 0 {
		t.Log("no kill came before the end of a backup")
	}

	again := 0
	for range 6 {
		to := filepath.Join(t.TempDir(), "data")
		p := process(t, "restore", whole, "--data", to)
		killSoon(t, p, to, 400*time.Millisecond)
		out, code := command(t, "restore", whole, "--data", to)
		if code == 0 {
			again++
		} else if !strings.Contains(out, "is not empty") {
			t.Error(out)
		}
		wantExpected(t, to)
	}
	if again == 0 {
		t.Log("no kill came before the end of a restore")
	}
}

// process starts the program as a process of its own.
func process(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	p := exec.CommandContext(t.Context(), exe, args...)
	p.Env = append(os.Environ(), "MUSTER_COLLECTOR_RUN=1")
	must(t, p.Start())
	return p
}

// killSoon kills the process at a random moment after it has begun to write files into a
// folder, which it may have to make.
func killSoon(t *testing.T, p *exec.Cmd, dir string, within time.Duration) {
	t.Helper()
	begun := func() bool {
		entries, _ := os.ReadDir(dir)
		return len(entries) > 0
	}
	for deadline := time.Now().Add(time.Minute); !begun(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is written to %s", dir)
		}
	}
	time.Sleep(rand.N(within))
	if err := p.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	_ = p.Wait()
}

// wantExpected opens what was restored.
func wantExpected(t *testing.T, data string) {
	t.Helper()
	c, err := collector.Open(t.Context(), collector.Options{Data: data})
	must(t, err)
	list, err := c.Expected(t.Context(), "17031")
	must(t, errors.Join(err, c.Close()))
	if len(list) != manyExpected {
		t.Errorf("%d are expected, want %d", len(list), manyExpected)
	}
}

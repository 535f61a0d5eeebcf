package main

import (
	"bytes"
	"errors"
	"github.com/passmuster/muster/internal/cli"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestWriteOut(t *testing.T) {
	give := func(text string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
	}
	dir := t.TempDir()
	file, link := filepath.Join(dir, "audit.html"), filepath.Join(dir, "link.html")
	if err := writeOut(file, 0o644, give("first")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the disk is full")
	if err := writeOut(file, 0o644, func(w io.Writer) error { io.WriteString(w, "half"); return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	holds(t, dir, file, "first")
	if runtime.GOOS == "windows" {
		return
	}
	if err := errors.Join(os.Chmod(file, 0o600), os.Symlink("audit.html", link), writeOut(link, 0o644, give("second"))); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, file, "second")
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file became %v, %v", info, err)
	}
	if err := writeOut(os.DevNull, 0o644, give("third")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Fatalf("%s became %v, %v", os.DevNull, info, err)
	}
}

// holds wants the text in the file, and no temporary file beside it.
func holds(t *testing.T, dir, file, want string) {
	t.Helper()
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v", file, got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A signal ends what runs, with its own exit code and one plain line.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // a process cannot interrupt itself there
	}
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, os.Interrupt) // until run listens, and after it
	defer signal.Stop(heard)
	var stdout, stderr bytes.Buffer
	code := make(chan int)
	go func() {
		code <- run([]string{"facts", "query", "--engine", "builtin", "--timeout", "1h",
			"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) AS n FROM n"}, &stdout, &stderr)
	}()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case got := <-code:
			if got != cli.Stopped || stdout.Len() > 0 || stderr.String() != "muster: error: stopped before it was done\n" {
				t.Errorf("exit code %d, stdout %q, stderr %q", got, &stdout, &stderr)
			}
			return
		case <-again.C:
			if err := self.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
}

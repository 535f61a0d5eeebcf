package builtin

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSessionsWithPipes has what logind of systemd 257 keeps: beside each session
// a pipe that nothing may be read from.
func TestSessionsWithPipes(t *testing.T) {
	root := t.TempDir()
	sessions := filepath.Join(root, "run/systemd/sessions")
	if err := os.MkdirAll(sessions, 0o755); err != nil {
		t.Fatal(err)
	}
	text := "UID=1000\nUSER=mvega\nACTIVE=1\nTTY=tty2\nCLASS=user\nREALTIME=1795396215000000\nLEADER=781\n"
	if err := os.WriteFile(filepath.Join(sessions, "1"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(sessions, "1.ref"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows, err := gather(t, host{root}.loggedInUsers())
	if err != nil || len(rows) != 1 || rows[0]["user"] != "mvega" || rows[0]["time"] != "1795396215" {
		t.Errorf("got %v (%v), want mvega's session alone", rows, err)
	}
}

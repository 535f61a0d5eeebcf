package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/passmuster/muster/cmd/muster/internal/signing"
	"github.com/passmuster/muster/internal/wire"
)

// A key that somebody put onto the stick, and therefore knows, is not the computer's.
func TestKeyInTheOpen(t *testing.T) {
	key, err := wire.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := signing.MarshalKey(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range [][]byte{plain, slices.Concat([]byte(boundLine), plain)} {
		if _, err := new(portableFlags).keyForm(nil).Parse(text); err == nil {
			t.Errorf("taken: %.30q", text)
		}
	}
}

// A link is where it leads to: neither a key of the stick that looks like one of the
// computer, nor a file of the computer that looks like one of the stick, passes.
func TestWithinSeesLinks(t *testing.T) {
	stick, computer := t.TempDir(), t.TempDir()
	for _, c := range []struct {
		file, link string
		want       bool
	}{
		{filepath.Join(stick, "key"), filepath.Join(computer, "link"), true},
		{filepath.Join(computer, "answer"), filepath.Join(stick, "link"), false},
	} {
		if err := os.WriteFile(c.file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(c.file, c.link); err != nil {
			t.Skipf("no links here: %v", err)
		}
		if got := within(c.link, stick); got != c.want {
			t.Errorf("%s: %v", c.link, got)
		}
	}
	if !within(filepath.Join(stick, "new"), stick) {
		t.Error("a file that is not there yet")
	}
}

package tailnet

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tailscale.com/ipn"
)

func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.json")
	open := func() (*store, string) {
		t.Helper()
		s, setAside, err := openStore(path)
		if err != nil {
			t.Fatal(err)
		}
		return s, setAside
	}
	s, _ := open()
	if !s.empty() {
		t.Error("a new store is not empty")
	}
	for id, value := range map[ipn.StateKey]string{"a": "one", "b": "two"} {
		if err := s.WriteState(id, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.WriteState("b", nil); err != nil {
		t.Fatal(err)
	}
	s, _ = open()
	if got, err := s.ReadState("a"); err != nil || string(got) != "one" || s.empty() {
		t.Errorf("a is %q, %v", got, err)
	}
	if _, err := s.ReadState("b"); !errors.Is(err, ipn.ErrStateNotExist) {
		t.Errorf("b was deleted: %v", err)
	}

	for _, junk := range []string{"", "nul", "null", `{"a":`} {
		if err := os.WriteFile(path, []byte(junk), 0o600); err != nil {
			t.Fatal(err)
		}
		s, setAside := open()
		kept, err := os.ReadFile(setAside)
		if err != nil || string(kept) != junk || !s.empty() {
			t.Errorf("%q: set aside %q, %v", junk, kept, err)
		}
		if err := s.WriteState("a", []byte("new")); err != nil {
			t.Error(err)
		}
	}
}

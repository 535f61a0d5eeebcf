package media_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A program whose path is longer than the system opens cannot be looked at, and does
// not pass for one that was.
func TestTooDeepToRead(t *testing.T) {
	stick, key := mustStick(t)
	const longest = 4095
	dir := stick.Path("hosts", "x")
	for len(dir)+120 < longest {
		dir = filepath.Join(dir, strings.Repeat("d", 100))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	deep, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer deep.Close()
	if err := deep.WriteFile(strings.Repeat("f", 200), []byte("\x7fELF"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := found(verify(t, stick, key)); len(got) != 1 || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "unreadable MUSTER/hosts/x/") }) {
		t.Errorf("%q", got)
	}
}

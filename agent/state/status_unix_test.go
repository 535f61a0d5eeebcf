//go:build unix

package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Before the first audit the uplink can put a folder where the status belongs: it
// goes aside, whatever is in it, and nothing in it is touched.
func TestStatusWithAFolderInItsWay(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "s"))
	inside := filepath.Join(f.StatusFile("audit"), "x")
	if err := errors.Join(os.Mkdir(filepath.Dir(inside), 0o700), os.WriteFile(inside, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteStatus("audit", 7); err != nil {
		t.Fatal(err)
	}
	var got int
	if found, err := f.ReadStatus("audit", &got); !found || err != nil || got != 7 {
		t.Errorf("%v, %v, %d", found, err, got)
	}
	if moved, _ := filepath.Glob(f.path("status", "*.foreign", "x")); len(moved) != 1 {
		t.Errorf("moved: %v", moved)
	}
}

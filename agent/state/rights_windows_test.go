package state

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// mustTemp is t.TempDir without the clean-up, which wine does not know.
func mustTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "muster")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustList(t *testing.T, path, sddl string) {
	t.Helper()
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		t.Fatal(err)
	}
	if err := setRights(path, sd); err != nil {
		t.Fatal(err)
	}
}

func TestRightsThatAreSet(t *testing.T) {
	f, err := Open(filepath.Join(mustTemp(t), "s"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name := range rights {
		path := f.path(filepath.FromSlash(name))
		if err := checkRights(path, name == "key"); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		sd, err := windows.GetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
		t.Logf("%-10s %v %v", name, sd, err)
	}
	if _, err := f.HostKey(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(f.Dir(), Options{}); err != nil {
		t.Errorf("again, with a key: %v", err)
	}
}

func TestRightsThatAreRefused(t *testing.T) {
	dir := filepath.Join(mustTemp(t), "s")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sddl   string
		secret bool
		says   string
	}{
		{base, true, ""},
		{base + "(A;OICI;FRFX;;;BU)", false, ""},
		{base + "(A;OICI;FRFX;;;WD)", true, "may be read by"},
		{base + "(A;OICI;FA;;;WD)", false, "may be changed by"},
		{base + "(A;;0x2;;;WD)", false, "may be changed by"},
	} {
		mustList(t, dir, c.sddl)
		err := checkRights(dir, c.secret)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", c.sddl, err)
		}
	}
}

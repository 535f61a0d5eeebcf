package trial

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// lifecycle runs a script of testdata/linux in a system that has just started, with
// the packages of both versions, and fails with every check of it that failed. The
// script makes at least so many.
func lifecycle(t *testing.T, script string, checks int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start a system")
	}
	if testing.Short() {
		t.Skip("starts a system: half a minute")
	}
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip("systemd-nspawn is not installed: packaging/test-packages.txt names what the tests need")
	}
	t.Parallel()
	given := t.TempDir()
	for _, version := range []string{older, newer} {
		dir := packages(t, "linux", version)
		found, err := filepath.Glob(filepath.Join(dir, "*."+script))
		if err != nil || len(found) != 2 {
			t.Fatalf("packages %v, %v", found, err)
		}
		for _, path := range found {
			if err := os.Link(path, filepath.Join(given, filepath.Base(path))); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := exec.Command("unshare", "--mount", "--fork", "--kill-child", "../systemd/testdata/start", given, "testdata/linux/"+script).CombinedOutput()
	said := string(out)
	if strings.Contains(said, "Operation not permitted") && !strings.Contains(said, "ok ") {
		t.Skipf("this container lets nobody start a system: %s", said)
	}
	if err != nil || !strings.HasSuffix(said, "DONE\n") || strings.Count(said, "\nok ") < checks {
		t.Errorf("the script did not come through: %v", err)
	}
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "FAIL ") {
			t.Error(line)
		}
	}
	t.Log(said)
}

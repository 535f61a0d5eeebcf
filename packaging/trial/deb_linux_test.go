package trial

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Both deb from installation to purge, on a system of their own.
func TestDeb(t *testing.T) { lifecycle(t, "deb", 40) }

// lintian finds no error in them, and no warning that has not a reason in an override.
func TestLintian(t *testing.T) {
	lintian, err := exec.LookPath("lintian")
	if err != nil {
		t.Skip("lintian is not installed: packaging/test-packages.txt names what the tests need")
	}
	if testing.Short() {
		t.Skip("makes the packages: half a minute")
	}
	t.Parallel()
	found, err := filepath.Glob(filepath.Join(packages(t, "linux", newer), "*.deb"))
	if err != nil || len(found) != 2 {
		t.Fatalf("packages %v, %v", found, err)
	}
	cmd := exec.Command(lintian, append([]string{"--allow-root", "--fail-on", "error,warning", "--suppress-tags", "initial-upload-closes-no-bugs"}, found...)...)
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "E: ") {
		t.Errorf("lintian: %v\n%s", err, out)
	}
}

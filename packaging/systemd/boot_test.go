package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The units at work: a system starts with them, audits by timer and on request,
// gives the same verdicts as without them, and starts a killed uplink again.
func TestUnitsAtWork(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can start a system")
	}
	if testing.Short() {
		t.Skip("starts a system: half a minute")
	}
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		t.Skip("systemd-nspawn is not installed: packaging/test-packages.txt names what the tests need")
	}
	bin := t.TempDir()
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", bin, "./cmd/...")
	build.Dir = filepath.Join("..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.Command("unshare", "--mount", "--fork", "--kill-child", "testdata/start", bin, "testdata/inside").CombinedOutput()
	said := string(out)
	if strings.Contains(said, "Operation not permitted") && !strings.Contains(said, "ok ") {
		t.Skipf("this container lets nobody start a system: %s", said)
	}
	if err != nil || !strings.HasSuffix(said, "DONE\n") || strings.Count(said, "\nok ") < 30 {
		t.Errorf("the script did not come through: %v", err)
	}
	for line := range strings.Lines(said) {
		if strings.HasPrefix(line, "FAIL ") {
			t.Error(line)
		}
	}
	t.Log(said)
}

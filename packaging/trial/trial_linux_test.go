package trial

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// The versions that the trials install, and upgrade to.
const older, newer = "1.0.0", "1.1.0"

// made are the folders with the packages of a version, each made once.
var made = struct {
	sync.Mutex
	top  string
	dirs map[string]string
}{dirs: map[string]string{}}

// packages makes the packages of a kind (linux, windows, image) in a version, once
// for all tests, with more in the environment, and gives their folder.
func packages(t *testing.T, kind, version string, env ...string) string {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	if dir, ok := made.dirs[kind+version]; ok {
		return dir
	}
	dir := filepath.Join(made.top, version)
	cmd := exec.Command("go", "-C", "../build", "run", ".", "-o", dir, "-version", version, kind)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make the packages: %v\n%s", err, out)
	}
	made.dirs[kind+version] = dir
	return dir
}

func TestMain(m *testing.M) {
	top, err := os.MkdirTemp("", "muster-trial-")
	if err != nil {
		panic(err)
	}
	made.top = top
	code := m.Run()
	os.RemoveAll(top)
	os.Exit(code)
}

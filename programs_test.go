package muster_test

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// programs builds the three programs once and returns their folder.
var programs = sync.OnceValues(func() (string, error) {
	bin, err := os.MkdirTemp("", "muster-programs-")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/...").CombinedOutput(); err != nil {
		return bin, fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

func mustPrograms(t *testing.T) string {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

func TestMain(m *testing.M) {
	code := m.Run()
	if bin, err := programs(); err == nil {
		os.RemoveAll(bin)
	}
	os.Exit(code)
}

// TestProgramsLinkNoStrangers reads what `go version -m` shows: the modules
// that the linker really took.
func TestProgramsLinkNoStrangers(t *testing.T) {
	bin := mustPrograms(t)
	for dir, forbidden := range strangers {
		name := filepath.Join(bin, filepath.Base(dir))
		info, err := buildinfo.ReadFile(name)
		if err != nil {
			if info, err = buildinfo.ReadFile(name + ".exe"); err != nil {
				t.Fatal(err)
			}
		}
		if len(info.Deps) < 3 {
			t.Errorf("%s: only %d modules: the test sees nothing", dir, len(info.Deps))
		}
		for _, dep := range info.Deps {
			for _, f := range forbidden {
				if dep.Path == f || strings.HasPrefix(dep.Path, f+"/") {
					t.Errorf("%s links %s", dir, dep.Path)
				}
			}
		}
	}
}

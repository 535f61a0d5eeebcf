package muster_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

var console = regexp.MustCompile("(?s)```console\n(.*?)```")

// TestReadmeCommandsWork runs every "$ muster …" line of the README's console
// blocks with the programs of this tree, and checks that each "$ make …" names a target.
func TestReadmeCommandsWork(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("the README's commands are written for Linux")
		return
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "./cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	ran := 0
	for _, block := range console.FindAllStringSubmatch(string(readme), -1) {
		for line := range strings.Lines(block[1]) {
			command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
			if !ok {
				continue
			}
			if target, ok := strings.CutPrefix(command, "make "); ok {
				if !strings.Contains(string(makefile), "\n"+strings.Fields(target)[0]+":") {
					t.Errorf("README: no make target for %q", command)
				}
				continue
			}
			cmd := exec.Command("sh", "-c", command)
			cmd.Env = append(os.Environ(), "PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"), "XDG_STATE_HOME="+t.TempDir())
			out, err := cmd.CombinedOutput()
			// 1 and 3 are verdicts about a host, not failures of the command.
			if code := cmd.ProcessState.ExitCode(); code != 0 && code != 1 && code != 3 {
				t.Errorf("README: %s: %v\n%s", command, err, out)
			}
			ran++
		}
	}
	if ran < 4 {
		t.Errorf("only %d commands found in the README", ran)
	}
}

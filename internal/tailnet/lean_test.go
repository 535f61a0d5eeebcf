//go:build !ts_omit_logtail

package tailnet_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/passmuster/muster/internal/tailnet/tailnettest"
)

// TestLean runs what a node must be able to do in a program that is built as
// muster-uplink is: with its tags and flags.
func TestLean(t *testing.T) {
	list, err := os.ReadFile(filepath.Join("..", "..", "packaging", "uplink.tags"))
	if err != nil {
		t.Fatal(err)
	}
	var tags []string
	for line := range strings.Lines(string(list)) {
		tag, why, _ := strings.Cut(strings.TrimSpace(line), "#")
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
		if tag != "" && strings.TrimSpace(why) == "" {
			t.Errorf("%s is left out without a reason", tag)
		}
	}
	cmd := exec.Command("go", "test", "-count=1", "-trimpath", "-v", "-tags", strings.Join(tags, ","),
		"-run", "^(TestNodesTalk|TestShieldsUpRefuses|TestExpiredKeyHeals|TestRelayGoesAndComesBack|TestCloseWhileJoining)$", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS: ") != 5 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestQuiet: a node asks nobody but its tailnet, Tailscale's log server least.
func TestQuiet(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "run", "./testdata/quiet", t.TempDir())
	cmd.Env = append(os.Environ(), "NO_PROXY=", "no_proxy=")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil || string(out) != "joined "+tailnettest.FQDN("agent")+"\n" {
		t.Errorf("%v\n%s\n%s", err, out, &log)
	}
}

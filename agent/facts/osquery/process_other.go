//go:build !linux

package osquery

import (
	"os"
	"os/exec"
)

func dieTogether(*exec.Cmd) {}

func interrupt(p *os.Process) { p.Kill() } //nolint:errcheck // Kill follows

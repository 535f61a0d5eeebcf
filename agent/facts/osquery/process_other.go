//go:build !linux && !windows

package osquery

import (
	"os"
	"os/exec"
)

func dieTogether(*exec.Cmd) {}

func tie(*os.Process) (release func() error, err error) { return func() error { return nil }, nil }

func interrupt(p *os.Process) { p.Kill() } //nolint:errcheck // Kill follows

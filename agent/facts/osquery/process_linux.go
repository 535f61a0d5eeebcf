package osquery

import (
	"os"
	"os/exec"
	"syscall"
)

func dieTogether(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

func tie(*os.Process) (release func() error, err error) { return func() error { return nil }, nil }

func interrupt(p *os.Process) { p.Signal(syscall.SIGTERM) } //nolint:errcheck // Kill follows

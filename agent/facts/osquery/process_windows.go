package osquery

import (
	"os"
	"os/exec"

	"github.com/passmuster/muster/internal/service"
)

// maxMemory bounds osqueryd, in bytes: one that grows beyond it ends, and the builtin
// engine answers what it can.
const maxMemory = 512 << 20

func dieTogether(*exec.Cmd) {}

func tie(p *os.Process) (release func() error, err error) {
	if release, err = service.Tie(p, maxMemory); err != nil {
		return func() error { return nil }, err
	}
	return release, nil
}

func interrupt(p *os.Process) { p.Kill() } //nolint:errcheck // Kill follows

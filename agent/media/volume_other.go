//go:build !linux && !windows

package media

import (
	"fmt"
	"runtime"
)

// Volume is known on Linux and Windows only.
func (s *Stick) Volume() (string, error) {
	return "", fmt.Errorf("find the volume of the stick: not known how on %s", runtime.GOOS)
}

func sameVolume(string) bool { return false }

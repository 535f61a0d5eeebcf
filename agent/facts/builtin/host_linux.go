package builtin

import (
	"os"
	"strings"

	"github.com/passmuster/muster"
)

// onLinux are the platforms of a table that only Linux has.
var onLinux = []muster.Platform{muster.Linux}

// value reads a file of one value, such as those of /sys, without its spaces;
// "" where it is not there.
func (h host) value(path string) (string, error) {
	s, err := h.textIfAny(path)
	return strings.TrimSpace(s), err
}

// exists reports whether there is something at path.
func (h host) exists(path string) bool {
	_, err := os.Stat(h.path(path))
	return err == nil
}

// link is what the symbolic link at path points to, or "".
func (h host) link(path string) string {
	target, _ := os.Readlink(h.path(path))
	return target
}

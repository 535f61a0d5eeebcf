//go:build !windows

package osquery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

func dial(ctx context.Context, socket string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", socket)
}

// trustSocket checks that only root, or the user who runs this program, could
// have made the socket.
func trustSocket(path string) error { return trust(path, fs.ModeSocket) }

// trustBinary checks that only root, or the user who runs this program, could
// have made or changed the program.
func trustBinary(path string) error { return trust(path, 0) }

func trust(path string, kind fs.FileMode) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != kind {
		return fmt.Errorf("it is not a %s", map[fs.FileMode]string{0: "file", fs.ModeSocket: "socket"}[kind])
	}
	if err := owned(info); err != nil {
		return err
	}
	// Who can write to a folder above can put another file in its place.
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSticky == 0 {
			if err := owned(info); err != nil {
				return fmt.Errorf("folder %s: %w", dir, err)
			}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

func owned(info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner cannot be read")
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return errNotTrusted
	}
	return nil
}

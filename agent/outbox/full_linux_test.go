package outbox

import (
	"syscall"
	"testing"
)

// mountTiny makes dir a real file system of 64 KiB, which only root can do.
func mountTiny(t *testing.T, dir string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		return err
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return nil
}

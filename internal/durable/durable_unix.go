//go:build unix

package durable

import (
	"errors"
	"os"
	"syscall"
)

func renameFile(from, to string) error { return os.Rename(from, to) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) {
		err = nil // a file system, as some network ones, that knows no fsync of folders
	}
	return errors.Join(err, d.Close())
}

func openForeign(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}

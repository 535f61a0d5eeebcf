package durable

import (
	"os"

	"golang.org/x/sys/windows"
)

// renameFile returns only after the move is on the disk.
func renameFile(from, to string) error {
	fromPtr, err := windows.UTF16PtrFromString(from)
	if err != nil {
		return err
	}
	toPtr, err := windows.UTF16PtrFromString(to)
	if err != nil {
		return err
	}
	err = windows.MoveFileEx(fromPtr, toPtr, windows.MOVEFILE_REPLACE_EXISTING|windows.MOVEFILE_WRITE_THROUGH)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// syncDir has nothing to do: NTFS journals folders, and a folder cannot be
// flushed without rights over the whole volume.
func syncDir(string) error { return nil }

// openForeign opens a link itself, whose mode then tells what it is.
func openForeign(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
}

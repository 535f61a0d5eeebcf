//go:build unix

package state

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

const noGroup = -1

// lookupGroup gives noGroup where the group does not exist or is not ours to give.
func lookupGroup(name string) (int, error) {
	if os.Geteuid() != 0 {
		return noGroup, nil
	}
	g, err := user.LookupGroup(name)
	if unknown := user.UnknownGroupError(""); errors.As(err, &unknown) {
		return noGroup, nil
	}
	if err != nil {
		return noGroup, fmt.Errorf("look up group %s: %w", name, err)
	}
	return strconv.Atoi(g.Gid)
}

// checkOwner refuses a folder of someone else, and one whose mode has any of
// the forbidden bits.
func checkOwner(path string, forbidden os.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, and muster runs as user %d: run it as its owner, or give another folder with --state", path, st.Uid, os.Geteuid())
	}
	if info.Mode().Perm()&forbidden != 0 {
		return fmt.Errorf("%s may be written to by others (mode %v): run chmod go-w %s", path, info.Mode().Perm(), path)
	}
	return nil
}

// giveGroup gives a folder to the group. Files that muster wrote before there was
// the group go with it; those of a folder that the group writes to are its own.
func giveGroup(path string, group int) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Gid) == group {
		return nil
	}
	if info.Mode().Perm()&0o020 == 0 {
		files, err := os.ReadDir(path)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := os.Lchown(filepath.Join(path, f.Name()), -1, group); err != nil {
				return err
			}
		}
	}
	return os.Lchown(path, -1, group) // last: a kill before it starts again
}

func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

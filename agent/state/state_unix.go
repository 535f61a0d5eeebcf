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

func defaultDir() string { return "/var/lib/muster" }

// lookupGroup gives noGroup where the group does not exist or is not ours to give.
func lookupGroup(name string) (int, error) {
	if os.Geteuid() != 0 {
		return noGroup, nil
	}
	if gid, err := strconv.Atoi(name); err == nil {
		return gid, nil
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

// restrict has nothing to add to modes.
func restrict(string, string) error { return nil }

// checkFile refuses a file of someone else, and one whose mode has any of the
// forbidden bits.
func checkFile(path string, forbidden os.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return nil // whoever reads it says so, and only that part is lost
	case ok && int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, and muster runs as user %d: run it as its owner, or give another folder with --state", path, st.Uid, os.Geteuid())
	case mode&forbidden&0o044 != 0:
		return fmt.Errorf("%s may be read by others (mode %v), and whoever has read the host key can sign as this computer: run chmod 600 %s, and ask your state whether to enroll as a new host", path, mode, path)
	case mode&forbidden != 0:
		return fmt.Errorf("%s may be written to by others (mode %v): run chmod go-w %s", path, mode, path)
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

// giveUser gives a folder to the user of this name, where there is one.
func giveUser(path, name string) error {
	uid, err := strconv.Atoi(name)
	if err != nil {
		u, err := user.Lookup(name)
		if unknown := user.UnknownUserError(""); errors.As(err, &unknown) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look up user %s: %w", name, err)
		}
		if uid, err = strconv.Atoi(u.Uid); err != nil {
			return fmt.Errorf("look up user %s: %w", name, err)
		}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == uid {
		return nil
	}
	return os.Lchown(path, uid, -1)
}

func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

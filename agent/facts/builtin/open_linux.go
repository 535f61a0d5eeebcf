package builtin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// openDirectory keeps a pipe in the place of a folder from being opened.
const openDirectory = unix.O_DIRECTORY

// openFile opens a regular file and nothing else: to open a pipe would wait
// for a writer, and to open a device can act, as that of the watchdog does. The
// file is looked at and opened by one handle, so that nobody can swap it
// between.
func openFile(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	for errors.Is(err, unix.EINTR) {
		fd, err = unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		return nil, syscall.EISDIR
	default:
		return nil, errNotRegular
	}
	f, err := os.Open("/proc/self/fd/" + strconv.Itoa(fd))
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("/proc is not mounted")
	}
	return f, err
}

// mayLead is an error where an open file lies elsewhere than at path, because a
// link leads there, and its content is neither the owner's nor everybody's: the
// links in a home are its owner's, what they lead to may be a secret.
func mayLead(f *os.File, owner, path string) error {
	real, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return err
	}
	if strings.HasSuffix(real, filepath.Clean(path)) {
		return nil
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if s, ok := st.Sys().(*syscall.Stat_t); ok && strconv.FormatUint(uint64(s.Uid), 10) == owner {
		return nil
	}
	open := st.Mode().Perm()&0o004 != 0
	for dir := filepath.Dir(real); open && dir != "/"; dir = filepath.Dir(dir) {
		st, err := os.Stat(dir)
		open = err == nil && st.Mode().Perm()&0o001 != 0
	}
	if !open {
		return fmt.Errorf("a link leads to %s, which is somebody else's", real)
	}
	return nil
}

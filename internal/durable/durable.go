// Package durable is the one place that writes state: temporary file, fsync,
// rename, fsync of the folder. After a kill or a power loss at any moment a
// file holds what it held before or what was written, never a mixture; once a
// call has returned nil, its effect survives.
package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const tempSuffix = ".tmp"

// WriteFile replaces the file by data, with exactly the permissions perm. On an
// error the old file is still there (after a failed fsync of the folder: the
// old or the new one) and no temporary file is left.
func WriteFile(path string, data []byte, perm os.FileMode) error {
	return writeFile(osDisk{}, path, data, perm)
}

// WriteFrom is WriteFile for what r gives until its end, without holding it in
// memory. An error of r leaves the old file as it was.
func WriteFrom(path string, r io.Reader, perm os.FileMode) error {
	return writeFrom(osDisk{}, path, r, perm)
}

// Remove deletes files for good, up to the first that fails. A file that is not
// there is no error.
func Remove(paths ...string) error { return remove(osDisk{}, paths...) }

// Rename moves a file within its folder, over another one where there is one.
func Rename(from, to string) error { return rename(osDisk{}, from, to) }

// MkdirAll makes a folder and its missing parents, each entered durably into
// its own parent. Folders that exist keep their permissions.
func MkdirAll(path string, perm os.FileMode) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("make folder %s: a file has this name", path)
		}
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := MkdirAll(parent, perm); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := syncDir(parent); err != nil {
		return fmt.Errorf("make folder %s: fsync %s: %w", path, parent, err)
	}
	return nil
}

// SyncDir makes the names in a folder durable, whoever has made or changed them:
// a program that was killed may not have come to it.
func SyncDir(dir string) error {
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("fsync folder %s: %w", dir, err)
	}
	return nil
}

// Sweep deletes temporary files that a killed process has left in a folder, or,
// where names are given, only those of writes to these files. Only the one
// writer of the folder, or of these files, may call it, and never beside a
// WriteFile.
func Sweep(dir string, names ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && IsTemp(e.Name()) && (len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(e.Name(), "."+name+".") })) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
		}
	}
	return nil
}

// IsTemp reports whether a file name is that of an unfinished write.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, ".") && strings.HasSuffix(name, tempSuffix)
}

// ErrForeign: the file is too large or no regular file. Its writer is broken or
// hostile; leave it alone.
var ErrForeign = errors.New("not a regular file of a sane size")

// ReadForeign reads at most max bytes of a file in a folder that a less trusted
// program may write to: it follows no link, waits at no pipe, and fails with
// ErrForeign where there is more.
func ReadForeign(path string, max int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: %w", path, ErrForeign)
	}
	f, err := openForeign(path)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	defer f.Close()
	// Again: it may have been swapped since.
	if info, err = f.Stat(); err == nil && (!info.Mode().IsRegular() || info.Size() > max) {
		err = ErrForeign
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(b)) > max {
		err = ErrForeign
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

// disk is what a write needs of a file system; the tests have one that forgets
// what was not fsynced.
type disk interface {
	// create makes a file that must not exist.
	create(path string, perm os.FileMode) (file, error)
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
}

type file interface {
	io.WriteCloser
	Sync() error
}

func writeFile(d disk, path string, data []byte, perm os.FileMode) error {
	return writeFrom(d, path, bytes.NewReader(data), perm)
}

func writeFrom(d disk, path string, r io.Reader, perm os.FileMode) error {
	temp := tempName(path)
	f, err := d.create(temp, perm)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = d.rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, d.remove(temp)))
	}
	if err := d.syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("write %s: fsync its folder: %w", path, err)
	}
	return nil
}

func remove(d disk, paths ...string) error {
	var problems error
	folders := map[string]bool{}
	for _, path := range paths {
		err := d.remove(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = fmt.Errorf("remove %s: %w", path, err)
			break
		}
		if err == nil {
			folders[filepath.Dir(path)] = true
		}
	}
	for folder := range folders {
		if err := d.syncDir(folder); err != nil {
			problems = errors.Join(problems, fmt.Errorf("remove files in %s: fsync the folder: %w", folder, err))
		}
	}
	return problems
}

func rename(d disk, from, to string) error {
	if err := d.rename(from, to); err != nil {
		return fmt.Errorf("rename %s: %w", from, err)
	}
	if err := d.syncDir(filepath.Dir(to)); err != nil {
		return fmt.Errorf("rename %s: fsync its folder: %w", from, err)
	}
	return nil
}

// tempName is in the folder of path, hidden, and differs from call to call, so
// that two processes never write into one temporary file.
func tempName(path string) string {
	dir, base := filepath.Split(path)
	return fmt.Sprintf("%s.%s.%016x%s", dir, base, rand.Uint64(), tempSuffix)
}

type osDisk struct{}

func (osDisk) create(path string, perm os.FileMode) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	// The umask has had its say at creation; here the caller has the last word. FAT
	// has no modes and refuses (a file of our own is refused by nothing else).
	if err := f.Chmod(perm); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, errors.ErrUnsupported) {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return f, nil
}

func (osDisk) rename(from, to string) error { return renameFile(from, to) }
func (osDisk) remove(path string) error     { return os.Remove(path) }
func (osDisk) syncDir(dir string) error     { return syncDir(dir) }

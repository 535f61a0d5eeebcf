package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

const noGroup = -1

// defaultDir asks Windows, not the environment, which whoever starts us can change.
func defaultDir() string {
	dir, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	if err != nil {
		dir = `C:\ProgramData`
	}
	return filepath.Join(dir, "Muster")
}

func lookupGroup(string) (int, error) { return noGroup, nil }

// checkOwner refuses a folder that others may write to; modes say nothing here.
func checkOwner(path string, _ os.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	return checkRights(path, false)
}

// checkFile refuses a file that others may change, or read where nobody else may.
func checkFile(path string, forbidden os.FileMode) error {
	return checkRights(path, forbidden&0o044 != 0)
}

func giveGroup(string, int) error { return nil }

func giveUser(string, string) error { return nil }

func lockFile(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return err
}

// BootID names this run of the computer: Windows counts its boots.
func BootID() (string, error) {
	const path = `SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters`
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE)
	if err != nil {
		return "", fmt.Errorf("find the boot id: %w", err)
	}
	defer key.Close()
	n, _, err := key.GetIntegerValue("BootId")
	if err != nil {
		return "", fmt.Errorf("find the boot id: %w", err)
	}
	return strconv.FormatUint(n, 10), nil
}

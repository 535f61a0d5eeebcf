//go:build linux || darwin

package collector

import "syscall"

// freeBytes is the space left where a folder is, for a program without special rights.
func freeBytes(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}

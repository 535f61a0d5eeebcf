package media

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of Linux's linux/msdos_fs.h and linux/fs.h.
const (
	fatGetVolumeID = 0x80047213
	getFSUUID      = 0x80111500
)

// Volume names the file system that the stick was formatted with: its FAT serial
// number or its UUID. Copied files do not take it along, an image of the whole
// stick does.
func (s *Stick) Volume() (string, error) {
	d, err := os.Open(s.root)
	if err != nil {
		return "", fmt.Errorf("find the volume of the stick: %w", err)
	}
	defer d.Close()
	var serial uint32
	if ioctl(d, fatGetVolumeID, unsafe.Pointer(&serial)) == nil && serial != 0 {
		return fmt.Sprintf("%08x", serial), nil
	}
	var uuid struct {
		size  uint8
		bytes [16]byte
	}
	if ioctl(d, getFSUUID, unsafe.Pointer(&uuid)) == nil && int(uuid.size) <= len(uuid.bytes) && uuid.bytes != [16]byte{} {
		return hex.EncodeToString(uuid.bytes[:uuid.size]), nil
	}
	var place unix.Stat_t
	if err := unix.Fstat(int(d.Fd()), &place); err != nil {
		return "", fmt.Errorf("find the volume of the stick: %w", err)
	}
	links, err := filepath.Glob("/dev/disk/by-uuid/*")
	if err != nil {
		return "", fmt.Errorf("find the volume of the stick: %w", err)
	}
	for _, link := range links {
		var device unix.Stat_t
		if unix.Stat(link, &device) == nil && device.Rdev == place.Dev {
			return filepath.Base(link), nil
		}
	}
	return "", fmt.Errorf("find the volume of the stick: the file system at %s has no serial number", s.root)
}

func ioctl(f *os.File, request uintptr, into unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(into)); errno != 0 {
		return errno
	}
	return nil
}

func sameVolume(root string) bool {
	var here, system unix.Stat_t
	return unix.Stat(root, &here) == nil && unix.Stat("/", &system) == nil && here.Dev == system.Dev
}

package media

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// Volume names the file system that the stick was formatted with: its serial
// number. Copied files do not take it along, an image of the whole stick does.
func (s *Stick) Volume() (string, error) {
	drive, err := windows.UTF16PtrFromString(filepath.VolumeName(s.root) + `\`)
	if err != nil {
		return "", fmt.Errorf("find the volume of the stick: %w", err)
	}
	var serial uint32
	if err := windows.GetVolumeInformation(drive, nil, 0, &serial, nil, nil, nil, 0); err != nil {
		return "", fmt.Errorf("find the volume of the stick: %w", err)
	}
	if serial == 0 {
		return "", fmt.Errorf("find the volume of the stick: %s has no serial number", s.root)
	}
	return fmt.Sprintf("%08x", serial), nil
}

func sameVolume(root string) bool {
	return strings.EqualFold(filepath.VolumeName(root), os.Getenv("SystemDrive"))
}

package builtin

import (
	"context"
	"fmt"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// snapshotsTable is the shadow copies that Windows keeps of its volumes: volume
// is the drive, or the volume's own name where it has none. They are denied
// without administrator rights.
func snapshotsTable() facts.Table {
	return facts.Table{
		Name: "muster_snapshots", Platforms: onWindows, Source: "WMI Win32_ShadowCopy",
		Columns: columns("volume text, kind text, name text, created bigint"),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			if !windows.GetCurrentProcessToken().IsElevated() {
				return nil, fmt.Errorf("list shadow copies: %w", facts.ErrDenied)
			}
			return wmiQuery(ctx, cimv2, "SELECT * FROM Win32_ShadowCopy", func(o comObject) (muster.Row, error) {
				t, err := o.texts("VolumeName", "ID", "InstallDate")
				if err != nil {
					return nil, err
				}
				return muster.Row{"volume": volumePath(t[0]), "kind": "shadow copy", "name": t[1], "created": cimUnix(t[2])}, nil
			})
		}),
	}
}

// volumePath is where a volume is mounted, or its name where it is not.
func volumePath(volume string) string {
	name, err := windows.UTF16PtrFromString(volume)
	if err != nil {
		return volume
	}
	var buf [windows.MAX_PATH + 1]uint16
	var size uint32
	if err := windows.GetVolumePathNamesForVolumeName(name, &buf[0], uint32(len(buf)), &size); err != nil || buf[0] == 0 {
		return volume
	}
	return windows.UTF16ToString(buf[:])
}

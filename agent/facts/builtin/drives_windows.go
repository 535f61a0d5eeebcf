package builtin

import (
	"context"
	"strings"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// driveDescriptions by the number of GetDriveType; English on every Windows,
// where osquery's are in the language of the system.
var driveDescriptions = []string{"Unknown", "No Root Directory", "Removable Disk", "Local Fixed Disk", "Network Connection", "CD-ROM Disc", "RAM Disk"}

// logicalDrivesTable is the drive letters. free_space and size are -1 where
// Windows does not tell, such as on a locked drive, and on network drives,
// which are not asked: an absent server would hold up the audit.
func logicalDrivesTable() facts.Table {
	return facts.Table{
		Name: "logical_drives", Platforms: onWindows, Source: "GetLogicalDrives", Preferred: true,
		Columns: columns(`device_id text, type text, description text, free_space bigint, size bigint, file_system text,
			boot_partition integer`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			mask, err := windows.GetLogicalDrives()
			if err != nil {
				return nil, failed("list drives", err)
			}
			boot := systemFolder()
			var rows []muster.Row
			for i := range 26 {
				if mask&(1<<i) == 0 {
					continue
				}
				letter := string(rune('A'+i)) + ":"
				row, err := driveRow(letter)
				if err != nil {
					return nil, err
				}
				row["boot_partition"] = flag(strings.EqualFold(letter, boot[:2]))
				rows = append(rows, row)
			}
			return rows, nil
		}),
	}
}

func driveRow(letter string) (muster.Row, error) {
	root, err := windows.UTF16PtrFromString(letter + `\`)
	if err != nil {
		return nil, err
	}
	kind := windows.GetDriveType(root)
	row := muster.Row{
		"device_id": letter, "type": "Unknown", "description": word(driveDescriptions, kind), "free_space": "-1", "size": "-1",
	}
	if kind == windows.DRIVE_REMOTE {
		return row, nil
	}
	var ours, size, free uint64
	if windows.GetDiskFreeSpaceEx(root, &ours, &size, &free) == nil {
		row["free_space"], row["size"] = unum(free), unum(size)
	}
	var system [windows.MAX_PATH + 1]uint16
	if windows.GetVolumeInformation(root, nil, 0, nil, nil, nil, &system[0], uint32(len(system))) == nil {
		row["file_system"] = windows.UTF16ToString(system[:])
	}
	return row, nil
}

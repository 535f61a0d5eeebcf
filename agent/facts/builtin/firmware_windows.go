package builtin

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// smbiosTables reads the firmware's SMBIOS tables.
func smbiosTables() (smbios, error) {
	const provider = 'R'<<24 | 'S'<<16 | 'M'<<8 | 'B'
	proc := kernel32.NewProc("GetSystemFirmwareTable")
	raw, err := grow(8<<10, func(buf []byte, size *uint32) error {
		n, err := callBool(proc, provider, 0, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
		*size = uint32(n)
		if int(n) > len(buf) {
			return windows.ERROR_MORE_DATA
		}
		return err
	})
	if err != nil {
		return smbios{}, failed("read the firmware's tables", err)
	}
	// RawSMBIOSData: four bytes of version, four of length, then the tables.
	if len(raw) < 8 {
		return smbios{}, fmt.Errorf("read the firmware's tables: %w", facts.ErrUnavailable)
	}
	return parseSMBIOS(raw[8:]), nil
}

// platformInfoTable tells about the firmware.
func platformInfoTable() facts.Table {
	return facts.Table{
		Name: "platform_info", Platforms: onWindows, Source: "firmware tables (SMBIOS) and GetFirmwareType",
		Columns: columns(`vendor text, version text, date text, revision text, extra text, firmware_type text`),
		Rows: list(func(_ context.Context, q facts.Query) ([]muster.Row, error) {
			row := muster.Row{}
			if usesAny(q, "vendor", "version", "date", "revision") {
				b, err := smbiosTables()
				if err != nil {
					return nil, err
				}
				row["vendor"], row["version"], row["date"], row["revision"] = b.biosVendor, b.biosVersion, b.biosDate, b.biosRevision
			}
			if q.Used("firmware_type") {
				var err error
				if row["firmware_type"], err = firmwareType(); err != nil {
					return nil, err
				}
			}
			return []muster.Row{row}, nil
		}),
	}
}

// firmwareType is "bios", "uefi" or "unknown".
func firmwareType() (string, error) {
	var kind uint32
	if _, err := callBool(kernel32.NewProc("GetFirmwareType"), uintptr(unsafe.Pointer(&kind))); err != nil {
		return "", failed("ask for the firmware's type", err)
	}
	switch kind {
	case 1:
		return "bios", nil
	case 2:
		return "uefi", nil
	}
	return "unknown", nil
}

// secureBootTable reads the firmware's own variables, which needs
// administrator rights. A computer that starts without UEFI has no row.
func secureBootTable() facts.Table {
	return facts.Table{
		Name: "secureboot", Platforms: onWindows, Source: "UEFI variables",
		Columns: columns(`secure_boot integer, setup_mode integer`),
		Rows: list(func(_ context.Context, q facts.Query) ([]muster.Row, error) {
			kind, err := firmwareType()
			if kind == "bios" || err != nil {
				return nil, err
			}
			if err := enablePrivilege("SeSystemEnvironmentPrivilege"); err != nil {
				return nil, err
			}
			row := muster.Row{}
			for column, variable := range map[string]string{"secure_boot": "SecureBoot", "setup_mode": "SetupMode"} {
				if !q.Used(column) {
					continue
				}
				if row[column], err = efiFlag(variable); err != nil {
					return nil, err
				}
			}
			return []muster.Row{row}, nil
		}),
	}
}

// efiFlag reads a global UEFI variable of one byte: 1, 0, or -1 where the
// firmware does not have it.
func efiFlag(name string) (string, error) {
	const global = "{8BE4DF61-93CA-11D2-AA0D-00E098032B8C}"
	wname, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return "", err
	}
	wguid, err := windows.UTF16PtrFromString(global)
	if err != nil {
		return "", err
	}
	var value [2]byte
	n, err := callBool(kernel32.NewProc("GetFirmwareEnvironmentVariableW"), uintptr(unsafe.Pointer(wname)),
		uintptr(unsafe.Pointer(wguid)), uintptr(unsafe.Pointer(&value[0])), uintptr(len(value)))
	if errors.Is(err, windows.ERROR_ENVVAR_NOT_FOUND) {
		return "-1", nil
	}
	if err != nil {
		return "", failed("read the UEFI variable "+name, err)
	}
	if n != 1 || value[0] > 1 {
		return "", fmt.Errorf("the UEFI variable %s is not a yes or no", name)
	}
	return flag(value[0] == 1), nil
}

package builtin

import (
	"context"
	"runtime"
	"unsafe"

	"github.com/shirou/gopsutil/v3/cpu"
	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// systemInfoTable tells what the computer is. Vendor, model, serial and UUID
// come from the firmware's own tables, not from WMI.
func systemInfoTable() facts.Table {
	return facts.Table{
		Name: "system_info", Platforms: onWindows, Source: "firmware tables (SMBIOS) and registry",
		Columns: columns(`hostname text, uuid text, cpu_type text, cpu_subtype text, cpu_brand text, cpu_physical_cores integer,
			cpu_logical_cores integer, cpu_sockets integer, cpu_microcode text, physical_memory bigint, hardware_vendor text,
			hardware_model text, hardware_version text, hardware_serial text, board_vendor text, board_model text,
			board_version text, board_serial text, computer_name text, local_hostname text, emulated_cpu_type text`),
		Rows: list(systemInfoRows),
	}
}

func systemInfoRows(ctx context.Context, q facts.Query) ([]muster.Row, error) {
	row := muster.Row{"cpu_subtype": "-1", "cpu_sockets": "-1", "cpu_logical_cores": "-1", "cpu_physical_cores": "-1", "physical_memory": "-1"}
	row["cpu_type"] = map[string]string{"amd64": "x86_64", "386": "x86", "arm64": "ARM"}[runtime.GOARCH]
	var err error
	if row["hostname"], err = computerName(windows.ComputerNamePhysicalDnsFullyQualified); err != nil {
		return nil, err
	}
	if row["computer_name"], err = computerName(windows.ComputerNamePhysicalNetBIOS); err != nil {
		return nil, err
	}
	row["local_hostname"] = row["computer_name"]

	if usesAny(q, "uuid", "hardware_vendor", "hardware_model", "hardware_version", "hardware_serial",
		"board_vendor", "board_model", "board_version", "board_serial", "cpu_sockets") {
		b, err := smbiosTables()
		if err != nil {
			return nil, err
		}
		b.describe(row)
	}
	processor, err := regValues(`HKEY_LOCAL_MACHINE\HARDWARE\DESCRIPTION\System\CentralProcessor\0`)
	if err != nil {
		return nil, err
	}
	row["cpu_brand"] = processor["processornamestring"]
	row["cpu_microcode"] = microcode(processor["update revision"])
	if logical, err := cpu.CountsWithContext(ctx, true); err == nil {
		row["cpu_logical_cores"] = num(logical)
	}
	if physical, err := cpu.CountsWithContext(ctx, false); err == nil {
		row["cpu_physical_cores"] = num(physical)
	}
	var kib uint64
	if _, err := callBool(kernel32.NewProc("GetPhysicallyInstalledSystemMemory"), uintptr(unsafe.Pointer(&kib))); err == nil {
		row["physical_memory"] = unum(kib << 10)
	}
	return []muster.Row{row}, nil
}

func computerName(kind uint32) (string, error) {
	n := uint32(256)
	for {
		buf := make([]uint16, n)
		err := windows.GetComputerNameEx(kind, &buf[0], &n)
		if err == nil {
			return windows.UTF16ToString(buf), nil
		}
		if err != windows.ERROR_MORE_DATA || int(n) <= len(buf) {
			return "", failed("read the computer's name", err)
		}
	}
}

// systemFolder is C:\Windows\System32, wherever it is here.
func systemFolder() string {
	dir, err := windows.GetSystemDirectory()
	if err != nil {
		return `C:\Windows\System32`
	}
	return dir
}

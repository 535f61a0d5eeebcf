package builtin

import (
	"context"
	"errors"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// servicesTable is every service and driver that the service manager knows.
func servicesTable() facts.Table {
	return facts.Table{
		Name: "services", Platforms: onWindows, Source: "service manager",
		Columns: columns(`name text, service_type text, display_name text, status text, pid integer, start_type text,
			win32_exit_code integer, service_exit_code integer, path text, module_path text, description text,
			user_account text`),
		Rows: servicesRows,
	}
}

var (
	serviceStates = []string{"UNKNOWN", "STOPPED", "START_PENDING", "STOP_PENDING", "RUNNING", "CONTINUE_PENDING", "PAUSE_PENDING", "PAUSED"}
	serviceStarts = []string{"BOOT_START", "SYSTEM_START", "AUTO_START", "DEMAND_START", "DISABLED"}
	serviceTypes  = map[uint32]string{
		0x01: "KERNEL_DRIVER", 0x02: "FILE_SYSTEM_DRIVER", 0x10: "OWN_PROCESS", 0x20: "SHARE_PROCESS",
		0x50: "USER_OWN_PROCESS", 0x60: "USER_SHARE_PROCESS", 0xd0: "USER_OWN_PROCESS(Instance)",
		0xe0: "USER_SHARE_PROCESS(Instance)", 0x100: "INTERACTIVE_PROCESS", 0x110: "OWN_PROCESS(Interactive)",
		0x120: "SHARE_PROCESS(Interactive)",
	}
)

// word is names[i], or "UNKNOWN" where there is none.
func word(names []string, i uint32) string {
	if int(i) < len(names) {
		return names[i]
	}
	return "UNKNOWN"
}

func servicesRows(ctx context.Context, q facts.Query, emit emitFunc) error {
	manager, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT|windows.SC_MANAGER_ENUMERATE_SERVICE)
	if err != nil {
		return failed("open the service manager", err)
	}
	defer windows.CloseServiceHandle(manager)
	var count uint32
	buf, err := grow(64<<10, func(buf []byte, size *uint32) error {
		var missing uint32
		err := windows.EnumServicesStatusEx(manager, windows.SC_ENUM_PROCESS_INFO, windows.SERVICE_WIN32|windows.SERVICE_DRIVER,
			windows.SERVICE_STATE_ALL, &buf[0], uint32(len(buf)), &missing, &count, nil, nil)
		*size += missing
		return err
	})
	if err != nil {
		return failed("list services", err)
	}
	configured := usesAny(q, "service_type", "start_type", "path", "user_account", "description")
	for _, s := range unsafe.Slice((*windows.ENUM_SERVICE_STATUS_PROCESS)(unsafe.Pointer(&buf[0])), count) {
		if err := ctx.Err(); err != nil {
			return err
		}
		name, status := wide(s.ServiceName), s.ServiceStatusProcess
		if want, ok := q.Equals("name"); ok && want != name {
			continue
		}
		row := muster.Row{
			"name": name, "display_name": wide(s.DisplayName), "status": word(serviceStates, status.CurrentState),
			"pid": unum(status.ProcessId), "win32_exit_code": num(int32(status.Win32ExitCode)),
			"service_exit_code": num(int32(status.ServiceSpecificExitCode)),
		}
		if configured {
			err := addServiceConfig(manager, s.ServiceName, row)
			if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
				continue // removed since it was listed
			}
			if err != nil {
				return failed("read the configuration of the service "+name, err)
			}
		}
		if q.Used("module_path") {
			values, err := regValues(`HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\` + name + `\Parameters`)
			if err != nil && !errors.Is(err, facts.ErrDenied) {
				return err
			}
			row["module_path"] = expandEnv(values["servicedll"])
		}
		if err := emit(row); err != nil {
			return err
		}
	}
	return nil
}

func addServiceConfig(manager windows.Handle, name *uint16, row muster.Row) error {
	s, err := windows.OpenService(manager, name, windows.SERVICE_QUERY_CONFIG)
	if err != nil {
		return err
	}
	defer windows.CloseServiceHandle(s)
	buf, err := grow(1024, func(buf []byte, size *uint32) error {
		return windows.QueryServiceConfig(s, (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buf[0])), uint32(len(buf)), size)
	})
	if err != nil {
		return err
	}
	config := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buf[0]))
	row["start_type"] = word(serviceStarts, config.StartType)
	row["path"], row["user_account"] = wide(config.BinaryPathName), wide(config.ServiceStartName)
	row["service_type"] = serviceTypes[config.ServiceType]
	if row["service_type"] == "" {
		row["service_type"] = "UNKNOWN"
	}
	about, err := grow(1024, func(buf []byte, size *uint32) error {
		return windows.QueryServiceConfig2(s, windows.SERVICE_CONFIG_DESCRIPTION, &buf[0], uint32(len(buf)), size)
	})
	// A description that cannot be resolved (its text file is missing) is no description.
	if err == nil {
		row["description"] = wide((*windows.SERVICE_DESCRIPTION)(unsafe.Pointer(&about[0])).Description)
	}
	return nil
}

// expandEnv replaces %NAME% by the environment's value.
func expandEnv(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	if expanded, err := registry.ExpandString(s); err == nil {
		return expanded
	}
	return s
}

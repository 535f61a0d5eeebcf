package builtin

import (
	"context"
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// processesTable is the running processes. What cannot be read of one (it is
// protected, or another user's and this process has no administrator rights)
// is "" or -1, as in osquery; cwd and root, which only the process itself
// knows, are always "".
func processesTable() facts.Table {
	return facts.Table{
		Name: "processes", Platforms: onWindows, Source: "process snapshot",
		Columns: columns(`pid bigint, name text, path text, cmdline text, state text, cwd text, root text, uid bigint,
			gid bigint, euid bigint, egid bigint, suid bigint, sgid bigint, on_disk integer, wired_size bigint,
			resident_size bigint, total_size bigint, user_time bigint, system_time bigint, disk_bytes_read bigint,
			disk_bytes_written bigint, start_time bigint, parent bigint, pgroup bigint, threads integer, nice integer,
			elevated_token integer, secure_process integer, protection_type text, virtual_process integer,
			elapsed_time bigint, handle_count bigint, percent_processor_time bigint`),
		Rows: processRows,
	}
}

// unreadable are the numbers that osquery prints as -1 where it cannot read them.
var unreadable = []string{
	"uid", "gid", "euid", "egid", "suid", "sgid", "on_disk", "wired_size", "resident_size", "total_size", "user_time",
	"system_time", "disk_bytes_read", "disk_bytes_written", "start_time", "pgroup", "nice", "elevated_token",
	"secure_process", "virtual_process", "elapsed_time", "handle_count", "percent_processor_time",
}

func processRows(ctx context.Context, q facts.Query, emit emitFunc) error {
	snapshot, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return failed("list processes", err)
	}
	defer windows.CloseHandle(snapshot)
	p := windows.ProcessEntry32{Size: uint32(unsafe.Sizeof(windows.ProcessEntry32{}))}
	for err = windows.Process32First(snapshot, &p); err == nil; err = windows.Process32Next(snapshot, &p) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if want, ok := q.Equals("pid"); ok && want != unum(p.ProcessID) {
			continue
		}
		row := muster.Row{
			"pid": unum(p.ProcessID), "parent": unum(p.ParentProcessID), "name": windows.UTF16ToString(p.ExeFile[:]),
			"threads": unum(p.Threads),
		}
		for _, column := range unreadable {
			row[column] = "-1"
		}
		if p.ProcessID != 0 {
			addProcessDetails(p.ProcessID, q, row)
		}
		if err := emit(row); err != nil {
			return err
		}
	}
	if !errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return failed("list processes", err)
	}
	return nil
}

func addProcessDetails(pid uint32, q facts.Query, row muster.Row) {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
	if err != nil {
		return
	}
	defer windows.CloseHandle(process)
	if usesAny(q, "path", "on_disk") {
		row["path"] = processPath(process)
		if row["path"] != "" {
			_, err := os.Stat(row["path"])
			row["on_disk"] = flag(err == nil)
		}
	}
	if q.Used("cmdline") {
		row["cmdline"] = processCommandLine(process)
	}
	if usesAny(q, "uid", "gid", "elevated_token") {
		addProcessToken(process, row)
	}
	if usesAny(q, "start_time", "elapsed_time", "user_time", "system_time", "percent_processor_time") {
		var created, exited, kernel, user windows.Filetime
		if windows.GetProcessTimes(process, &created, &exited, &kernel, &user) == nil {
			ticks := func(t windows.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) }
			row["start_time"], row["elapsed_time"] = num(unixTime(created)), num(time.Now().Unix()-unixTime(created))
			row["user_time"], row["system_time"] = num(ticks(user)/10_000), num(ticks(kernel)/10_000)
			row["percent_processor_time"] = num(ticks(user) + ticks(kernel))
		}
	}
	if usesAny(q, "wired_size", "resident_size", "total_size") {
		addProcessMemory(process, row)
	}
	if usesAny(q, "disk_bytes_read", "disk_bytes_written") {
		var io windows.IO_COUNTERS
		if _, err := callBool(kernel32.NewProc("GetProcessIoCounters"), uintptr(process), uintptr(unsafe.Pointer(&io))); err == nil {
			row["disk_bytes_read"], row["disk_bytes_written"] = unum(io.ReadTransferCount), unum(io.WriteTransferCount)
		}
	}
	if q.Used("handle_count") {
		var n uint32
		if _, err := callBool(kernel32.NewProc("GetProcessHandleCount"), uintptr(process), uintptr(unsafe.Pointer(&n))); err == nil {
			row["handle_count"] = unum(n)
		}
	}
	if class, err := windows.GetPriorityClass(process); err == nil {
		row["nice"] = unum(class)
	}
	var code uint32
	if windows.GetExitCodeProcess(process, &code) == nil {
		row["state"] = "EXITED"
		if code == uint32(windows.STATUS_PENDING) { // STILL_ACTIVE has the same number
			row["state"] = "STILL_ACTIVE"
		}
	}
	addProcessProtection(process, row)
}

func processPath(process windows.Handle) string {
	var path [windows.MAX_LONG_PATH]uint16
	n := uint32(len(path))
	if windows.QueryFullProcessImageName(process, 0, &path[0], &n) != nil {
		return ""
	}
	return windows.UTF16ToString(path[:n])
}

// processCommandLine is "" where the process may not be asked, or has none.
func processCommandLine(process windows.Handle) string {
	buf, err := grow(1024, func(buf []byte, size *uint32) error {
		err := windows.NtQueryInformationProcess(process, windows.ProcessCommandLineInformation, unsafe.Pointer(&buf[0]), uint32(len(buf)), size)
		if errors.Is(err, windows.STATUS_INFO_LENGTH_MISMATCH) || errors.Is(err, windows.STATUS_BUFFER_TOO_SMALL) {
			return windows.ERROR_MORE_DATA
		}
		return err
	})
	if err != nil {
		return ""
	}
	return (*windows.NTUnicodeString)(unsafe.Pointer(&buf[0])).String()
}

func addProcessToken(process windows.Handle, row muster.Row) {
	var token windows.Token
	if windows.OpenProcessToken(process, windows.TOKEN_QUERY, &token) != nil {
		return
	}
	defer token.Close()
	if user, err := token.GetTokenUser(); err == nil {
		row["uid"] = unum(rid(user.User.Sid))
	}
	if group, err := token.GetTokenPrimaryGroup(); err == nil {
		row["gid"] = unum(rid(group.PrimaryGroup))
	}
	row["elevated_token"] = flag(token.IsElevated())
}

// rid is the last number of a SID, which osquery uses as uid and gid.
func rid(sid *windows.SID) uint32 {
	if sid.SubAuthorityCount() == 0 {
		return 0
	}
	return sid.SubAuthority(uint32(sid.SubAuthorityCount()) - 1)
}

// processMemoryCounters is PROCESS_MEMORY_COUNTERS_EX.
type processMemoryCounters struct {
	size, pageFaults                                                                          uint32
	peakWorkingSet, workingSet, peakPaged, paged, peakNonPaged, nonPaged, file, peak, private uintptr
}

func addProcessMemory(process windows.Handle, row muster.Row) {
	m := processMemoryCounters{}
	m.size = uint32(unsafe.Sizeof(m))
	_, err := callBool(psapi.NewProc("GetProcessMemoryInfo"), uintptr(process), uintptr(unsafe.Pointer(&m)), unsafe.Sizeof(m))
	if err == nil {
		row["wired_size"], row["resident_size"], row["total_size"] = unum(m.nonPaged), unum(m.workingSet), unum(m.private)
	}
}

func addProcessProtection(process windows.Handle, row muster.Row) {
	var level uint8
	if windows.NtQueryInformationProcess(process, windows.ProcessProtectionInformation, unsafe.Pointer(&level), 1, nil) == nil {
		row["protection_type"] = []string{
			"PsProtectedTypeNone", "PsProtectedTypeProtectedLight", "PsProtectedTypeProtected", "PsProtectedTypeMax",
		}[level&3]
	}
	// PROCESS_EXTENDED_BASIC_INFORMATION.
	var info struct {
		size  uintptr
		basic windows.PROCESS_BASIC_INFORMATION
		flags uint32
	}
	info.size = unsafe.Sizeof(info)
	if windows.NtQueryInformationProcess(process, windows.ProcessBasicInformation, unsafe.Pointer(&info), uint32(unsafe.Sizeof(info)), nil) == nil {
		const isSecure = 0x80
		row["secure_process"] = flag(info.flags&isSecure != 0)
		row["virtual_process"] = flag(info.basic.PebBaseAddress == nil)
	}
}

package muster.controls.app_04_test

import data.muster.controls.app_04

item(kind, name, path) := {"kind": kind, "name": name, "path": path, "sha256": ""}

shell := {"key": "k", "name": "Shell", "data": "Explorer.exe"}

userinit := {"key": "k", "name": "Userinit", "data": `C:\Windows\system32\userinit.exe,`}

spooler := item("service", "Spooler", `C:\Windows\System32\spoolsv.exe`)

host(profile, facts) := {
	"host": {"platform": "windows", "profile": profile},
	"facts": object.union(
		{
			"startup": [], "autostart_services": [spooler], "scheduled_tasks": [], "wmi_persistence": [],
			"winlogon_hooks": [shell, userinit],
		},
		facts,
	),
}

linux(facts) := {
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": object.union({"startup": [], "autostart_services": [], "cron_jobs": [], "winlogon_hooks": []}, facts),
}

drive := item("startup", "OneDrive", `C:\Program Files\Microsoft OneDrive\OneDrive.exe /background`)

entry := {"kind": "startup", "name": "onedrive", "path": `c:\program files\microsoft onedrive\onedrive.exe /background`}

test_pass if {
	h := host("workstation", {"startup": [drive]})
	count(app_04.violations) == 0 with input as h with data.lists.startup_approved as [entry]
	count(app_04.unknown) == 0 with input as h with data.lists.startup_approved as [entry]
}

test_pass_checksum if {
	h := host("workstation", {"startup": [object.union(drive, {"sha256": "AB12"})]})
	count(app_04.violations) == 0 with input as h with data.lists.startup_approved as [object.union(entry, {"sha256": "ab12"})]
	count(app_04.violations) == 0 with input as h with data.lists.startup_approved as [object.union(entry, {"sha256": ""})]
	count(app_04.unknown) == 0 with input as h with data.lists.startup_approved as [entry]
}

test_pass_windows_own if {
	every path in [
		`"C:\Windows\system32\SecurityHealthSystray.exe"`, `%windir%\system32\svchost.exe -k netsvcs`, `%SystemRoot%\System32\x.dll`,
		`"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.26090.11-0\MsMpEng.exe"`, `\SystemRoot\SysWOW64\a.exe`,
		`%SystemRoot%\system32\wbem\WMIsvc.dll`, `C:\Windows\system32\SearchIndexer.exe /Embedding`, `C:\Windows\servicing\TrustedInstaller.exe`,
	] {
		count(app_04.violations) == 0 with input as host("workstation", {"startup": [item("startup", "x", path)]}) with data.lists.startup_approved as []
	}
	filter := item("wmi", "SCM Event Log Filter", "select * from MSFT_SCMEventLogEvent")
	count(app_04.violations) == 0 with input as host("workstation", {"wmi_persistence": [filter]}) with data.lists.startup_approved as []
}

test_fail_each_kind if {
	every fact in ["startup", "autostart_services", "cron_jobs", "wmi_persistence"] {
		h := host("workstation", {fact: [item("x", "evil", `C:\Users\m\evil.exe`)]})
		app_04.violations == {{"subject": "x evil", "found": `C:\Users\m\evil.exe`, "want": "on the list startup_approved, or removed"}} with input as h with data.lists.startup_approved as [entry]
	}
}

test_fail_task if {
	t := {"name": "Update", "action": ` C:\Users\m\evil.exe `, "enabled": "1"}
	{v.found | some v in app_04.violations} == {`C:\Users\m\evil.exe`} with input as host("workstation", {"scheduled_tasks": [t]}) with data.lists.startup_approved as []
	count(app_04.violations) == 1 with input as host("workstation", {"scheduled_tasks": [object.union(t, {"enabled": ""})]}) with data.lists.startup_approved as []
	count(app_04.violations) == 0 with input as host("workstation", {"scheduled_tasks": [object.union(t, {"enabled": "0"})]}) with data.lists.startup_approved as []
	count(app_04.notes) == 1 with input as host("workstation", {}) with data.lists.startup_approved as []
	count(app_04.notes) == 0 with input as linux({}) with data.lists.startup_approved as []
}

test_fail_other_kind_name_path_or_checksum if {
	summed := object.union(drive, {"sha256": "ab12"})
	every other in [{"kind": "task"}, {"name": "x"}, {"path": "x"}, {"sha256": "cd34"}] {
		count(app_04.violations) == 1 with input as host("workstation", {"startup": [summed]}) with data.lists.startup_approved as [object.union(entry, other)]
	}
}

# Programs of Windows that run what they are told to, and places that look like it.
test_fail_in_the_guise_of_windows if {
	every path in [
		`C:\Windows\system32\rundll32.exe C:\Users\m\evil.dll,x`, `C:\Windows\System32\cmd.exe /c evil`, `C:\Windows\Temp\evil.exe`,
		`C:\Users\m\Windows\system32\evil.exe`, `C:\Windows\system32\..\Temp\evil.exe`, `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe -e x`,
		`C:\ProgramData\Microsoft\Windows Defender\Platform\evil.exe`, `C:\ProgramData\Microsoft\Windows Defender\Platform\4\MpCmdRun.exe -x`, "",
		`C:\Windows\System32\pcalua.exe -a C:\Users\m\evil.com`, `"C:\Windows\System32\curl.exe" http://evil`, `C:\Windows\System32\x.exe evil.exe`,
	] {
		count(app_04.violations) == 1 with input as host("workstation", {"startup": [item("startup", "x", path)]}) with data.lists.startup_approved as []
	}
	filter := item("wmi", "SCM Event Log Filter", "select * from __InstanceModificationEvent")
	count(app_04.violations) == 1 with input as host("workstation", {"wmi_persistence": [filter]}) with data.lists.startup_approved as []
	count(app_04.violations) == 1 with input as host("workstation", {"startup": [item("x", "x", "select * from MSFT_SCMEventLogEvent")]}) with data.lists.startup_approved as []
}

test_fail_on_ems_whatever_it_is if {
	count(app_04.violations) == 1 with input as host("ems", {}) with data.lists.startup_approved as [entry]
	count(app_04.violations) == 0 with input as host("ems", {}) with data.lists.startup_approved as [spooler]
}

test_fail_hooks if {
	every r in [
		object.union(shell, {"data": `explorer.exe,C:\evil.exe`}), object.union(userinit, {"data": `C:\Windows\system32\userinit.exe,C:\evil.exe`}),
		{"key": "k", "name": "AppInit_DLLs", "data": "evil.dll"}, {"key": `k\sethc.exe`, "name": "Debugger", "data": "cmd.exe"}, {"key": "k", "name": "Taskman", "data": "x"},
	] {
		h := host("workstation", {"winlogon_hooks": [shell, userinit, r]})
		{v.found | some v in app_04.violations} == {r.data} with input as h with data.lists.startup_approved as []
	}
	blank := {"key": "k", "name": "AppInit_DLLs", "data": " "}
	count(app_04.violations) == 0 with input as host("workstation", {"winlogon_hooks": [shell, userinit, blank]}) with data.lists.startup_approved as []
}

test_fail_linux if {
	h := linux({"winlogon_hooks": [{"key": "/etc/ld.so.preload", "name": "ld.so.preload", "data": "/etc/ld.so.preload"}]})
	count(app_04.violations) == 1 with input as h with data.lists.startup_approved as []
	service := linux({"autostart_services": [item("service", "a.service", `C:\Windows\system32\a.exe`)]})
	count(app_04.violations) == 1 with input as service with data.lists.startup_approved as []
}

# Linux tells upper case from lower case.
test_pass_linux if {
	h := linux({"autostart_services": [item("service", "Ssh.service", "/lib/systemd/system/ssh.service")]})
	l := {"kind": "service", "name": "Ssh.service", "path": "/lib/systemd/system/ssh.service"}
	count(app_04.violations) == 0 with input as h with data.lists.startup_approved as [l]
	count(app_04.unknown) == 0 with input as h with data.lists.startup_approved as [l]
	count(app_04.violations) == 1 with input as h with data.lists.startup_approved as [object.union(l, {"name": "ssh.service"})]
}

test_unknown_checksum if {
	h := host("workstation", {"startup": [drive]})
	l := [object.union(entry, {"sha256": "ab12"})]
	count(app_04.violations) == 0 with input as h with data.lists.startup_approved as l
	count(app_04.unknown) == 1 with input as h with data.lists.startup_approved as l
	count(app_04.unknown) == 0 with input as h with data.lists.startup_approved as array.concat(l, [entry])
}

test_unknown_settings_not_seen if {
	count(app_04.unknown) == 2 with input as host("workstation", {"winlogon_hooks": []}) with data.lists.startup_approved as []
	count(app_04.unknown) == 1 with input as host("workstation", {"winlogon_hooks": [shell]}) with data.lists.startup_approved as []
	count(app_04.unknown) == 0 with input as linux({}) with data.lists.startup_approved as []
}

test_unknown_no_service_seen if count(app_04.unknown) == 1 with input as host("workstation", {"autostart_services": []}) with data.lists.startup_approved as []

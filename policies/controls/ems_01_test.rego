package muster.controls.ems_01_test

import data.muster.controls.ems_01

build := {
	"software": [{"name": "Suite", "version": "5.20", "publisher": "Example"}, {"name": "Plain", "version": "1"}],
	"services": ["MSSQL$EMS"],
	"hotfixes": ["KB5049981"],
}

service(name, path, module) := {"name": name, "path": path, "module_path": module}

sql := service("MSSQL$EMS", `"C:\Program Files\SQL\sqlservr.exe" -sEMS`, "")

good := {
	"installed": [{"program": "Suite, 5.20, Example"}, {"program": "Plain, 1, "}],
	"installed_services": [sql],
	"hotfixes": [{"hotfix_id": "KB5049981"}],
}

windows(facts) := {"host": {"platform": "windows"}, "facts": object.union(good, facts)}

counts(h, baseline) := n if {
	n := [count(ems_01.violations), count(ems_01.unknown), count(ems_01.notes)] with input as h with data.lists.ems_baseline as baseline
}

test_pass if counts(windows({}), build) == [0, 0, 0]

test_pass_parts_of_windows if {
	every s in [
		service("Dhcp", `C:\WINDOWS\system32\svchost.exe -k LocalService`, `C:\Windows\system32\dhcpcore.dll`),
		service("Themes", `%SystemRoot%\System32\svchost.exe -k netsvcs`, ""),
		service("WinDefend", `"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18\MsMpEng.exe"`, ""),
		service("MpsSvc", "", `%windir%\system32\mpssvc.dll`),
	] {
		counts(windows({"installed_services": [sql, s]}), build) == [0, 0, 0]
	}
}

test_fail_service if {
	every s in [
		service("Helper", `C:\Program Files\Helper\helper.exe`, ""),
		service("Helper", `C:\Windows\system32\svchost.exe -k netsvcs`, `C:\ProgramData\helper.dll`),
		service("Helper", `C:\Windows\System32\cmd.exe /c C:\helper.bat`, ""),
		service("Helper", `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe -File x`, ""),
		service("Helper", `C:\Windows\System32\DriverStore\FileRepository\a\b.exe`, ""),
		service("Helper", `C:\Windows\System32\..\Temp\b.exe`, ""),
		service("Helper", "", ""),
	] {
		counts(windows({"installed_services": [sql, s]}), build) == [1, 0, 0]
	}
}

linux(services) := {"host": {"platform": "linux"}, "facts": {"installed": good.installed, "installed_services": services}}

# Linux has no hotfixes, and nothing that looks like Windows is part of it.
test_pass_linux if counts(linux([{"name": "MSSQL$EMS", "path": "/etc/systemd/system/x.service", "module_path": ""}]), build) == [0, 0, 0]

test_fail_linux_service if {
	counts(linux([sql, service("odd.service", `c:\windows\system32\odd`, "")]), build) == [1, 0, 0]
}

test_fail_program if {
	every program in ["7-Zip, 23.01, Igor Pavlov", "Suite, 5.21, Example", "Suite, 5.20, Mallory"] {
		counts(windows({"installed": array.concat(good.installed, [{"program": program}])}), build) == [1, 0, 0]
	}
}

test_pass_rpm if counts({"host": {"platform": "linux"}, "facts": {"installed_rpm": good.installed}}, build) == [0, 0, 0]

test_fail_hotfix if counts(windows({"hotfixes": array.concat(good.hotfixes, [{"hotfix_id": "KB1"}])}), build) == [1, 0, 0]

test_fail_missing if {
	counts(windows({"installed": [good.installed[0]]}), build) == [1, 0, 0]
	counts(windows({"installed_services": []}), build) == [1, 0, 0]
	counts(windows({"hotfixes": []}), build) == [1, 0, 0]
}

# A fact that is not there proves neither presence nor absence.
test_pass_of_what_was_seen if counts({"host": {"platform": "windows"}, "facts": {"installed": good.installed}}, build) == [0, 0, 0]

test_unknown_without_a_build if {
	counts(windows({}), {}) == [0, 3, 0]
	counts(windows({}), object.remove(build, ["services"])) == [0, 1, 0]
	counts(windows({}), object.union(build, {"software": "Suite"})) == [0, 1, 0]
	counts(windows({"installed": []}), object.union(build, {"software": []})) == [0, 1, 0]
}

agents := [{"name": "Muster", "version": "1", "publisher": "State", "approval": "EAC letter of 2026-01-05"}, {"name": "osquery", "version": "5", "publisher": ""}]

test_pass_agent_with_a_note if {
	h := windows({"installed": array.concat(good.installed, [{"program": "Muster, 1, State"}])})
	notes := ems_01.notes with input as h with data.lists.ems_baseline as object.union(build, {"software": array.concat(build.software, agents)})
	notes == {"Muster, 1, State: approved by EAC letter of 2026-01-05"}
}

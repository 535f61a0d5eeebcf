package muster.controls.app_01_test

import data.muster.controls.app_01

lists(allowed) := {"remote_tools": ["*anydesk*", "radmin*"], "remote_tools_allowed": allowed}

host(profile, facts) := {
	"host": {"platform": "windows", "profile": profile},
	"facts": object.union({"software": [{"program": "phpmyadmin 5"}], "processes": [{"name": "init", "path": ""}], "services": [], "scheduled_tasks": []}, facts),
}

portable := {"processes": [{"name": "svc.exe", "path": `C:\Users\m\Downloads\AnyDesk.exe`}]}

test_pass if {
	count(app_01.violations) == 0 with input as host("workstation", {}) with data.lists as lists([])
	count(app_01.unknown) == 0 with input as host("workstation", {}) with data.lists as lists([])
}

test_pass_when_allowed if {
	count(app_01.violations) == 0 with input as host("workstation", portable) with data.lists as lists(["AnyDesk*"])
}

test_fail_portable_copy if {
	count(app_01.violations) == 1 with input as host("workstation", portable) with data.lists as lists([])
}

test_fail_everywhere if {
	count(app_01.violations) == 3 with input as host("workstation", {
		"software": [{"program": "AnyDesk 9"}],
		"services": [{"name": "x", "display_name": "Radmin Server", "path": ""}],
		"scheduled_tasks": [{"name": "updater", "action": ` "C:\tools\anydesk.exe" --silent`}],
	})
		with data.lists as lists([])
}

test_fail_on_ems_whatever_is_allowed if {
	count(app_01.violations) == 1 with input as host("ems", portable) with data.lists as lists(["AnyDesk*"])
}

# Tasks that could not be read do not hide what was found; the engine answers
# unknown where nothing was.
test_unknown_tasks_leave_findings if {
	count(app_01.violations) == 1 with input as {"host": {"profile": "workstation"}, "facts": object.union({"software": []}, portable)} with data.lists as lists([])
}

test_fail_names_only_what_was_found if {
	h := host("workstation", object.union(portable, {
		"services": [{"name": "EventLog", "display_name": "Windows Event Log", "path": `C:\Windows\system32\svchost.exe`}],
		"scheduled_tasks": [{"name": "Backup", "action": `C:\tools\backup.exe`}],
	}))
	{v.subject | some v in app_01.violations} == {"svc.exe"} with input as h with data.lists as lists([])
}

test_fail_service_by_its_program if {
	h := host("workstation", {"services": [{"name": "x", "display_name": "Helper", "path": `"C:\Program Files\y\AnyDesk.exe" --service`}]})
	count(app_01.violations) == 1 with input as h with data.lists as lists([])
}

# A pattern means its characters, but for *.
test_fail_pattern_with_brackets if {
	h := host("workstation", {"software": [{"program": "Tool [x86] {b} 1"}]})
	l := {"remote_tools": ["tool [x86] {b}*"], "remote_tools_allowed": []}
	count(app_01.violations) == 1 with input as h with data.lists as l
}

test_unknown_list_of_another_shape if {
	every tools in ["*anydesk*", [], {}, [""], ["*anydesk*", null]] {
		count(app_01.unknown) == 1 with input as host("workstation", {}) with data.lists as {"remote_tools": tools, "remote_tools_allowed": []}
	}
}

test_unknown_when_nothing_was_seen if {
	count(app_01.unknown) == 1 with input as host("workstation", {"software": []}) with data.lists as lists([])
	count(app_01.unknown) == 1 with input as host("workstation", {"processes": []}) with data.lists as lists([])
}

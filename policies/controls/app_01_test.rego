package muster.controls.app_01_test

import data.muster.controls.app_01

lists(allowed) := {"remote_tools": ["*anydesk*", "radmin*"], "remote_tools_allowed": allowed}

host(profile, facts) := {
	"host": {"platform": "windows", "profile": profile},
	"facts": object.union({"software": [], "processes": [], "services": [], "scheduled_tasks": []}, facts),
}

portable := {"processes": [{"name": "svc.exe", "path": `C:\Users\m\Downloads\AnyDesk.exe`}]}

test_pass if {
	count(app_01.violations) == 0 with input as host("workstation", {"software": [{"name": "phpmyadmin", "version": "5"}]}) with data.lists as lists([])
}

test_pass_when_allowed if {
	count(app_01.violations) == 0 with input as host("workstation", portable) with data.lists as lists(["AnyDesk*"])
}

test_fail_portable_copy if {
	count(app_01.violations) == 1 with input as host("workstation", portable) with data.lists as lists([])
}

test_fail_everywhere if {
	count(app_01.violations) == 3 with input as host("workstation", {
		"software": [{"name": "AnyDesk", "version": "9"}],
		"services": [{"name": "x", "display_name": "Radmin Server"}],
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

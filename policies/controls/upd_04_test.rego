package muster.controls.upd_04_test

import data.muster.controls.upd_04

host(pending, seconds) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {"reboot_pending": [{"name": name} | some name in pending], "uptime": [{"total_seconds": seconds}]},
}

test_pass if {
	count(upd_04.violations) == 0 with input as host([], "2591999")
	count(upd_04.unknown) == 0 with input as host([], "2591999")
}

test_pass_with_a_note if {
	count(upd_04.violations) == 0 with input as host(["PendingFileRenameOperations"], "1")
	count(upd_04.notes) == 1 with input as host(["PendingFileRenameOperations"], "1")
}

test_fail_waiting if count(upd_04.violations) == 1 with input as host(["RebootRequired"], "1")

test_fail_up_for_long if count(upd_04.violations) == 1 with input as host([], "2592000")

test_unknown_uptime if count(upd_04.unknown) == 1 with input as host([], "")

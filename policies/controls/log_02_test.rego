package muster.controls.log_02_test

import data.muster.controls.log_02

local := `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\EventLog\`

policy := `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\EventLog\`

windows(sizes, status) := {
	"host": {"platform": "windows"},
	"facts": {
		"eventlog_config": [{"key": key, "name": "MaxSize", "data": size} | some key, size in sizes],
		"eventlog_service": [{"name": "EventLog", "status": status}],
	},
}

large := {concat("", [local, "Security"]): "201326592", concat("", [local, "System"]): "33554432", concat("", [local, "Application"]): "33554432"}

linux(path, mtime) := {
	"time": "2026-10-19T14:00:00Z",
	"host": {"platform": "linux"},
	"facts": {"eventlog_config": [{"path": path, "mtime": mtime}]},
}

test_pass if {
	count(log_02.violations) == 0 with input as windows(large, "RUNNING")
	count(log_02.unknown) == 0 with input as windows(large, "RUNNING")
}

test_pass_linux if {
	count(log_02.violations) == 0 with input as linux("/var/log/journal/0123/system.journal", "1792400000")
	count(log_02.violations) == 0 with input as linux("/var/log/auth.log", "1792400000")
}

test_fail_policy_wins if {
	count(log_02.violations) == 1 with input as windows(object.union(large, {concat("", [policy, "Security"]): "20480"}), "RUNNING")
}

test_pass_policy_wins if {
	sizes := object.union(large, {concat("", [local, "Security"]): "20971520", concat("", [policy, "Security"]): "196608"})
	count(log_02.violations) == 0 with input as windows(sizes, "RUNNING")
}

test_fail_one_log_is_small if {
	log_02.violations == {{"subject": "System", "found": "20971520 bytes", "want": "33554432 bytes"}} with input as windows(object.union(large, {concat("", [local, "System"]): "20971520"}), "RUNNING")
}

test_fail_absent if count(log_02.violations) == 3 with input as windows({}, "RUNNING")

test_fail_stopped if count(log_02.violations) == 1 with input as windows(large, "STOPPED")

test_fail_linux_old_log if {
	count(log_02.violations) == 1 with input as linux("/var/log/auth.log", "1792000000")
	count(log_02.violations) == 1 with input as linux("/var/log/journal/0123/system.journal", "1792000000")
	count(log_02.violations) == 1 with input as linux("/var/log/auth.log", "")
}

test_unknown_size if {
	sizes := object.union(large, {concat("", [local, "System"]): "large"})
	count(log_02.violations) == 0 with input as windows(sizes, "RUNNING")
	count(log_02.unknown) == 1 with input as windows(sizes, "RUNNING")
}

package muster.controls.acc_11_test

import data.muster.controls.acc_11

known := ["Administrator", "mrivera"]

windows(name, rid, enabled, last_logon) := {
	"time": "2026-10-19T14:00:00Z",
	"host": {"platform": "windows"},
	"facts": {"accounts": [{"username": name, "sid": sprintf("S-1-5-21-1-2-3-%s", [rid]), "enabled": enabled, "last_logon": last_logon}]},
}

linux(name, status, expire) := {
	"time": "2026-10-19T14:00:00Z",
	"host": {"platform": "linux"},
	"facts": {"accounts": [{"username": name, "password_status": status, "expire": expire}]},
}

pass(h) if {
	count(acc_11.violations) == 0 with input as h with data.lists.accounts_known as known
	count(acc_11.unknown) == 0 with input as h with data.lists.accounts_known as known
}

fail(h) := found if found := {v.found | some v in acc_11.violations} with input as h with data.lists.accounts_known as known

unknown(h) if {
	count(acc_11.violations) == 0 with input as h with data.lists.accounts_known as known
	count(acc_11.unknown) == 1 with input as h with data.lists.accounts_known as known
}

test_pass if {
	pass(windows("MRivera", "1001", "1", "1792400000"))
	pass(windows("seasonal02", "1005", "0", "0"))
}

test_pass_linux if {
	pass(linux("mrivera", "active", ""))
	pass(linux("backup", "locked", ""))
	pass(linux("seasonal02", "not_set", ""))
}

# 2026-10-19 is day 20745.
test_pass_linux_expired if {
	pass(linux("seasonal02", "active", "20745"))
	pass(linux("seasonal02", "active", "1"))
}

test_fail if fail(windows("seasonal02", "1005", "1", "1792400000")) == {"is on, and nobody listed it"}

test_fail_linux if {
	fail(linux("seasonal02", "active", "")) == {"is on, and nobody listed it"}
	fail(linux("MRivera", "active", "")) == {"is on, and nobody listed it"}
	every day in ["20746", "0", "-1", "soon"] {
		fail(linux("seasonal02", "active", day)) == {"is on, and nobody listed it"}
	}
}

test_fail_linux_without_password if fail(linux("mrivera", "empty", "")) == {"opens without a password"}

test_fail_nobody_listed if {
	h := windows("mrivera", "1001", "1", "1792400000")
	count(acc_11.violations) == 1 with input as h with data.lists.accounts_known as []
}

test_unknown if {
	unknown(windows("mrivera", "1001", "", "0"))
	unknown(windows("mrivera", "1001", "yes", "0"))
	unknown(linux("mrivera", "", ""))
	unknown(linux("mrivera", "unknown", ""))
}

test_unknown_without_rows if {
	unknown({"host": {"platform": "windows"}, "facts": {"accounts": []}})
	unknown(windows("Guest", "501", "1", "0"))
}

test_notes if {
	count(acc_11.notes) == 1 with input as windows("mrivera", "1001", "1", "0")
	count(acc_11.notes) == 1 with input as windows("mrivera", "1001", "1", "1788500000")
	count(acc_11.notes) == 0 with input as windows("mrivera", "1001", "1", "1788600000")
	count(acc_11.notes) == 0 with input as windows("mrivera", "1001", "0", "0")
	count(acc_11.notes) == 0 with input as windows("mrivera", "1001", "1", "")
}

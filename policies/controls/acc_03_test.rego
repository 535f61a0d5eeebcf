package muster.controls.acc_03_test

import data.muster.controls.acc_03

windows(enabled, said) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {
		"accounts": [
			{"username": "mrivera", "sid": "S-1-5-21-1-2-3-1001", "enabled": "1"},
			{"username": "Besucher", "sid": "S-1-5-21-1-2-3-501", "enabled": enabled},
		],
		"security_profile": [{"enable_guest_account": said}],
	},
}

linux(name, shell, settings) := {
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {
		"accounts": [{"username": "root", "login_shell": "1"}, {"username": name, "login_shell": shell}],
		"guest_session": settings,
	},
}

program := {"key": "program", "value": "/usr/sbin/guest-account"}

allow(value) := {"key": "allow-guest", "value": value}

pass(h) if {
	count(acc_03.violations) == 0 with input as h
	count(acc_03.unknown) == 0 with input as h
}

fail(h) := found if found := {v.subject | some v in acc_03.violations} with input as h

test_pass if {
	pass(windows("0", "0"))
	pass(windows("0", "-1"))
	pass(windows("", "0"))
}

test_pass_linux if {
	pass(linux("guest", "0", []))
	pass(linux("guestbook", "1", []))
	pass(linux("alice", "1", [program, allow("false")]))
	pass(linux("alice", "1", [allow("true")]))
}

test_fail_native if fail(windows("1", "-1")) == {"Besucher"}

test_fail_policy if fail(windows("0", "1")) == {"Guest"}

test_fail_linux if {
	fail(linux("guest", "1", [])) == {"guest"}
	fail(linux("guest-4711", "", [])) == {"guest-4711"}
}

test_fail_lightdm if {
	fail(linux("alice", "1", [program])) == {"LightDM"}
	fail(linux("alice", "1", [program, allow("true")])) == {"LightDM"}
	fail(linux("alice", "1", [program, allow("true"), allow("false")])) == {"LightDM"}
}

test_unknown if {
	every h in [windows("", "-1"), windows("", ""), {"host": {"platform": "windows"}, "facts": {"accounts": []}}, {"host": {"platform": "windows"}, "facts": {"security_profile": []}}] {
		count(acc_03.violations) == 0 with input as h
		count(acc_03.unknown) > 0 with input as h
	}
}

test_unknown_linux if {
	h := {"host": {"platform": "linux"}, "facts": {"accounts": [], "guest_session": []}}
	count(acc_03.unknown) == 1 with input as h
}

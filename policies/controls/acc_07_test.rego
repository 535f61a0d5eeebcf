package muster.controls.acc_07_test

import data.muster.controls.acc_07

clerk := {"user": "mrivera", "sid": "S-1-5-21-1-2-3-1001", "type": "local"}

helper := {"user": "jdoe", "sid": "S-1-5-21-9-9-9-1104", "type": "roaming"}

administrator := {"sid": "S-1-5-21-1-2-3-500", "username": "Administrator", "type": "user", "enabled": "0"}

domain_admins := {"sid": "S-1-5-21-9-9-9-512", "username": `COUNTY\Domain Admins`, "type": "group", "enabled": ""}

windows(people, members) := {"host": {"platform": "windows"}, "facts": {"logged_in": people, "admin_members": members}}

# Without Windows' own list.
osquery(people, admins) := {"host": {"platform": "windows"}, "facts": {"logged_in": people, "admins": admins}}

linux(people, programs) := {
	"host": {"platform": "linux"},
	"facts": {
		"logged_in": people,
		"root_desktops": [{"pid": pid, "name": name} | some pid, name in programs],
		"admins": [{"username": "root", "uid": "0"}],
	},
}

alice := {"user": "alice", "tty": ":0"}

pass(h) if {
	count(acc_07.violations) == 0 with input as h
	count(acc_07.unknown) == 0 with input as h
}

fail(h) := found if found := {v.subject | some v in acc_07.violations} with input as h

unknown(h) if {
	count(acc_07.violations) == 0 with input as h
	count(acc_07.unknown) == 1 with input as h
}

test_pass if {
	pass(windows([clerk], [administrator, domain_admins]))
	pass(windows([helper], [object.union(administrator, {"enabled": "1"})]))
	pass(osquery([clerk], [administrator]))
}

test_pass_switched_off if pass(windows([clerk], [{"sid": clerk.sid, "username": "mrivera", "type": "user", "enabled": "0"}, domain_admins]))

# Some account always has these rights.
test_unknown_without_administrators if {
	unknown(windows([clerk], []))
	unknown(osquery([clerk], []))
}

test_pass_linux if {
	pass(linux([alice], {"1": "systemd"}))
	pass(linux([{"user": "root", "tty": "tty1"}], {"1": "systemd"}))
}

test_fail if {
	fail(windows([clerk], [{"sid": clerk.sid, "username": "mrivera", "type": "user", "enabled": "1"}])) == {"mrivera"}
	fail(windows([helper], [{"sid": helper.sid, "username": `COUNTY\jdoe`, "type": "user", "enabled": ""}, domain_admins])) == {"jdoe"}
	fail(osquery([clerk], [{"sid": clerk.sid, "username": "mrivera"}])) == {"mrivera"}
}

test_fail_everybody if fail(windows([clerk], [{"sid": "S-1-5-11", "username": `NT AUTHORITY\Authenticated Users`, "type": "well_known_group", "enabled": ""}])) == {"mrivera"}

test_fail_linux if {
	fail(linux([alice], {"1": "systemd", "77": "xfce4-session"})) == {"root"}
	fail(linux([{"user": "root", "tty": ":0"}], {"1": "systemd"})) == {"root"}
}

test_unknown_domain if {
	unknown(windows([helper], [administrator, domain_admins]))
	unknown(osquery([helper], [administrator]))
}

test_unknown_sid if {
	unknown(windows([object.union(clerk, {"sid": ""})], [object.union(administrator, {"enabled": "1"})]))
	unknown(osquery([object.union(clerk, {"type": ""})], [administrator]))
}

test_unknown_nobody if {
	unknown(windows([], [administrator, domain_admins]))
	unknown(linux([], {"1": "systemd"}))
}

test_unknown_linux if unknown(linux([alice], {}))

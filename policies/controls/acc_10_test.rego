package muster.controls.acc_10_test

import data.muster.controls.acc_10

windows(lsa, running) := {
	"host": {"platform": "windows"},
	"facts": {
		"lsa": [{"name": name, "data": text} | some name, text in lsa],
		"deviceguard": [{"running": text} | some text in running],
	},
}

alone(lsa) := {"host": {"platform": "windows"}, "facts": {"lsa": [{"name": name, "data": text} | some name, text in lsa]}}

linux(guards) := {"host": {"platform": "linux"}, "facts": {"lsa": [{"lsm": g[0], "value": g[1]} | some g in guards]}}

list := ["list", "/sys/kernel/security/lsm"]

pass(h) if {
	count(acc_10.violations) == 0 with input as h
	count(acc_10.unknown) == 0 with input as h
}

fail(h) := found if found := {v.subject | some v in acc_10.violations} with input as h

unknown(h) if {
	count(acc_10.violations) == 0 with input as h
	count(acc_10.unknown) == 1 with input as h
}

test_pass if {
	pass(windows({"RunAsPPL": "1"}, ["NONE"]))
	pass(windows({"RunAsPPL": "2"}, []))
	pass(windows({}, ["MEMORY_INTEGRITY, CREDENTIAL_GUARD"]))
	pass(windows({"RunAsPPL": "0", "UseLogonCredential": "0"}, ["CREDENTIAL_GUARD,MEMORY_INTEGRITY"]))
	pass(alone({"RunAsPPL": "1"}))
}

test_pass_linux if {
	pass(linux([list, ["apparmor", "complain"], ["apparmor", "enforce"]]))
	pass(linux([["selinux", "1"]]))
}

test_fail_neither if {
	fail(windows({}, ["NONE"])) == {"stored passwords"}
	fail(windows({"RunAsPPL": "0"}, ["MEMORY_INTEGRITY"])) == {"stored passwords"}
}

test_fail_wdigest if fail(windows({"RunAsPPL": "1", "UseLogonCredential": "1"}, [])) == {"UseLogonCredential"}

test_fail_linux if {
	fail(linux([list])) == {"AppArmor and SELinux"}
	fail(linux([list, ["apparmor", "complain"], ["selinux", "0"]])) == {"AppArmor and SELinux"}
}

test_unknown if {
	unknown(alone({}))
	unknown(windows({}, []))
	unknown(windows({}, [""]))
	unknown(windows({}, ["UNKNOWN"]))
	unknown(windows({"RunAsPPL": ""}, ["NONE"]))
	unknown(windows({"RunAsPPL": "9"}, ["NONE"]))
	unknown(windows({"RunAsPPL": "1", "UseLogonCredential": ""}, []))
}

# Without the kernel's list of guards, none may be there or none may be seen.
test_unknown_linux if {
	unknown(linux([]))
	unknown(linux([["apparmor", "complain"]]))
	unknown(linux([["selinux", ""]]))
}

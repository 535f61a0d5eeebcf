package muster.controls.acc_02_test

import data.muster.controls.acc_02

windows(names, domain) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {
		"admins": [{"username": name, "sid": sprintf("S-1-5-21-1-2-3-%d", [1000 + i])} | some i, name in names],
		"domain": [{"domain_name": domain}],
		"domain_registry": [],
	},
}

linux(username, uid, header, rule) := {
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {
		"admins": [{"username": "root", "uid": "0", "groupname": "uid 0"}, {"username": username, "uid": uid, "groupname": "uid 0"}],
		"domain": [],
		"sudo_rules": [{"source": "/etc/sudoers", "header": header, "rule_details": rule}],
	},
}

allowed := ["Administrator", "countyit"]

test_pass if {
	count(acc_02.violations) == 0 with input as windows(["administrator", "CountyIT"], "") with data.lists.admins_allowed as allowed
	count(acc_02.unknown) == 0 with input as windows(["administrator", "CountyIT"], "") with data.lists.admins_allowed as allowed
}

test_pass_linux if {
	h := linux("root", "0", "%sudo", "ALL=(ALL:ALL) NOPASSWD: ALL")
	count(acc_02.violations) == 0 with input as h with data.lists.admins_allowed as allowed
	count(acc_02.notes) == 1 with input as h with data.lists.admins_allowed as allowed
}

test_fail_not_listed if count(acc_02.violations) == 1 with input as windows(["mallory"], "") with data.lists.admins_allowed as allowed

test_fail_first_on_a_joined_host if count(acc_02.violations) == 1 with input as windows(["mallory"], "COUNTY") with data.lists.admins_allowed as allowed

test_fail_too_many if count(acc_02.violations) == 1 with input as windows(["a", "b", "c", "d"], "") with data.lists.admins_allowed as ["a", "b", "c", "d"]

test_fail_second_root if {
	h := linux("toor", "0", "root", "ALL=(ALL:ALL) ALL")
	count(acc_02.violations) == 2 with input as h with data.lists.admins_allowed as allowed
}

test_fail_sudo_rule if {
	h := linux("root", "0", "mallory", "ALL=(ALL) ALL")
	count(acc_02.violations) == 1 with input as h with data.lists.admins_allowed as allowed
}

test_unknown_joined if {
	count(acc_02.violations) == 0 with input as windows(["countyit"], "COUNTY") with data.lists.admins_allowed as allowed
	count(acc_02.unknown) == 1 with input as windows(["countyit"], "COUNTY") with data.lists.admins_allowed as allowed
}

test_unknown_group if {
	h := linux("root", "0", "%helpers", "ALL=(ALL) ALL")
	count(acc_02.unknown) == 1 with input as h with data.lists.admins_allowed as allowed
}

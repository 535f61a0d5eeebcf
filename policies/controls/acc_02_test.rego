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

# Everything that sudo itself reads as all commands, in the ways people write it.
test_fail_sudo_rule_however_written if {
	every rule in [
		"ALL=(ALL)\tALL", "ALL=ALL", "ALL=(ALL)ALL", "ALL=(ALL) NOPASSWD:ALL", "ALL=(#0) ALL", "ALL = ( ALL ) ALL, !/bin/su",
		"ALL=(ALL) ALL # until the election", "a=/bin/ls : b=(ALL) ALL", ", bob ALL=(ALL) ALL",
	] {
		h := linux("root", "0", "mallory", rule)
		"mallory" in {v.subject | some v in acc_02.violations} with input as h with data.lists.admins_allowed as allowed
	}
}

test_fail_sudo_rule_names_each_user if {
	h := linux("root", "0", "countyit", ", mallory ALL=(ALL) ALL")
	{v.subject | some v in acc_02.violations} == {"mallory"} with input as h with data.lists.admins_allowed as allowed
}

test_fail_sudo_alias if {
	h := linux("root", "0", "mallory", "ALL=(ALL) EVERYTHING")
	alias := [{"source": "/etc/sudoers", "header": "Cmnd_Alias", "rule_details": "EVERYTHING = ALL"}]
	rules := array.concat(alias, h.facts.sudo_rules)
	count(acc_02.violations) == 1 with input as h with input.facts.sudo_rules as rules with data.lists.admins_allowed as allowed
}

test_pass_sudo_rule_for_one_program if {
	every rule in ["ALL=(ALL) /usr/bin/apt", "ALL=(ALL) !ALL", "ALL=(ALL:ALL) /bin/ls # not ALL"] {
		h := linux("root", "0", "mallory", rule)
		count(acc_02.violations) == 0 with input as h with data.lists.admins_allowed as allowed
	}
}

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

test_pass_sudo_rule_of_the_list if {
	every header in ["countyit", "%sudo"] {
		count(acc_02.violations) == 0 with input as linux("root", "0", header, "ALL=(ALL) ALL") with data.lists.admins_allowed as allowed
		count(acc_02.unknown) == 0 with input as linux("root", "0", header, "ALL=(ALL) ALL") with data.lists.admins_allowed as allowed
	}
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

test_pass_sudo_alias_of_one_program if {
	alias := {"source": "/etc/sudoers", "header": "Cmnd_Alias", "rule_details": "LIST = /bin/ls"}
	h := linux("root", "0", "mallory", "ALL=(ALL) LIST")
	count(acc_02.violations) == 0 with input as h with input.facts.sudo_rules as array.concat([alias], h.facts.sudo_rules) with data.lists.admins_allowed as allowed
}

test_pass_sudo_rule_for_one_program if {
	every rule in ["ALL=(ALL) /usr/bin/apt", "ALL=(ALL) !ALL", "ALL=(ALL:ALL) /bin/ls # not ALL"] {
		h := linux("root", "0", "mallory", rule)
		count(acc_02.violations) == 0 with input as h with data.lists.admins_allowed as allowed
	}
}

# Windows' own list, which names members of a domain and accounts that are off.
native(members) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {"admin_members": members, "domain": [{"domain_name": "COUNTY"}], "domain_registry": [], "admins": [{"username": "mallory", "sid": "S-1-5-21-1-2-3-1066"}]},
}

it := {"sid": "S-1-5-21-1-2-3-1002", "username": "CountyIT", "type": "user", "enabled": "1"}

group := {"sid": "S-1-5-21-9-9-9-512", "username": `COUNTY\Domain Admins`, "type": "group", "enabled": ""}

test_pass_native if {
	off := {"sid": "S-1-5-21-1-2-3-1066", "username": "mallory", "type": "user", "enabled": "0"}
	gone := {"sid": "S-1-5-21-1-2-3-1077", "username": "", "type": "deleted", "enabled": ""}
	guest := {"sid": "S-1-5-21-1-2-3-501", "username": "Guest", "type": "user", "enabled": "1"}
	h := native([it, off, gone, guest])
	count(acc_02.violations) == 0 with input as h with data.lists.admins_allowed as allowed
	count(acc_02.unknown) == 0 with input as h with data.lists.admins_allowed as allowed
	count(acc_02.notes) == 0 with input as h with data.lists.admins_allowed as allowed
}

test_pass_native_group_on_the_list if {
	h := native([it, group])
	list := array.concat(allowed, [`county\domain admins`])
	count(acc_02.violations) == 0 with input as h with data.lists.admins_allowed as list
	count(acc_02.unknown) == 0 with input as h with data.lists.admins_allowed as list
	count(acc_02.notes) == 1 with input as h with data.lists.admins_allowed as list
}

test_fail_native if {
	jdoe := {"sid": "S-1-5-21-9-9-9-1104", "username": `COUNTY\countyit`, "type": "user", "enabled": ""}
	h := native([it, group, jdoe])
	{v.subject | some v in acc_02.violations} == {`COUNTY\Domain Admins`, `COUNTY\countyit`} with input as h with data.lists.admins_allowed as allowed
}

test_unknown_native_name if {
	h := native([it, {"sid": "S-1-12-1-4-5-6-7", "username": "", "type": "unknown", "enabled": ""}])
	count(acc_02.violations) == 0 with input as h with data.lists.admins_allowed as allowed
	count(acc_02.unknown) == 1 with input as h with data.lists.admins_allowed as allowed
}

test_unknown_nobody if {
	count(acc_02.unknown) == 1 with input as native([]) with data.lists.admins_allowed as allowed
	count(acc_02.unknown) == 1 with input as windows([], "") with data.lists.admins_allowed as allowed
}

# Ignored, whatever osquery says of them.
test_pass_accounts_of_windows_itself if {
	h := windows(["countyit"], "")
	guest := [{"username": "Guest", "sid": "S-1-5-21-1-2-3-501"}]
	count(acc_02.violations) == 0 with input as h with input.facts.admins as array.concat(h.facts.admins, guest) with data.lists.admins_allowed as allowed
}

package muster.controls.log_01_test

import data.muster.controls.log_01

wanted := {
	"0CCE9215": "11", "0cce9217": "01", "0cce9235": "11", "0cce9237": "10", "0cce922f": "10",
	"0cce9210": "10", "0cce9211": "10", "0cce922b": "10", "0cce9248": "10", "0cce9245": "11",
}

windows(policy) := {
	"host": {"platform": "windows"},
	"facts": {"audit_subcategories": [{"guid": sprintf("%s-69ae-11d9-bed3-505054503030", [guid]), "success": substring(said, 0, 1), "failure": substring(said, 1, 1)} |
		some guid, said in policy
	]},
}

legacy(value, subcategories) := {
	"host": {"platform": "windows"},
	"facts": {"audit_policy": [{
		"audit_logon_events": value, "audit_account_manage": "3", "audit_policy_change": "3", "audit_system_events": "3",
		"audit_process_tracking": "3", "audit_object_access": "3", "subcategories": subcategories,
	}]},
}

linux(enabled, pid, journal) := {
	"host": {"platform": "linux"},
	"facts": {"audit_daemon": [{"enabled": enabled, "pid": pid, "lost": "0"}], "journal": [{"name": name} | some name in journal]},
}

running := ["systemd-journal"]

test_pass if {
	every policy in [wanted, object.union(wanted, {"0cce9217": "11", "0cce9999": "00"})] {
		count(log_01.violations) == 0 with input as windows(policy)
		count(log_01.unknown) == 0 with input as windows(policy)
	}
}

test_pass_old_categories_in_force if {
	count(log_01.violations) == 0 with input as legacy("3", "0")
	count(log_01.unknown) == 0 with input as legacy("3", "0")
}

test_pass_linux if {
	every enabled in ["1", "2"] {
		count(log_01.violations) == 0 with input as linux(enabled, "412", running)
		count(log_01.unknown) == 0 with input as linux(enabled, "412", running)
		count(log_01.notes) == 0 with input as linux(enabled, "412", running)
	}
}

# Each subcategory counts, success and failure apart.
test_fail_each_subcategory if {
	every guid, _ in wanted {
		count(log_01.violations) == 1 with input as windows(object.union(wanted, {guid: "00"}))
		count(log_01.unknown) == 0 with input as windows(object.union(wanted, {guid: "00"}))
	}
	log_01.violations == {{"subject": "use of removable storage", "found": "successes recorded", "want": "successes and failures recorded"}} with input as windows(object.union(wanted, {"0cce9245": "10"}))
	count(log_01.violations) == 1 with input as windows(object.union(wanted, {"0cce922b": "01"}))
}

# What is in force decides, not the old categories.
test_fail_beside_good_old_categories if {
	h := windows(object.union(wanted, {"0cce922b": "00"}))
	count(log_01.violations) == 1 with input as h with input.facts.audit_policy as legacy("3", "0").facts.audit_policy
	count(log_01.violations) == 0 with input as windows(wanted) with input.facts.audit_policy as legacy("0", "0").facts.audit_policy
}

test_fail_old_category if {
	{v.subject | some v in log_01.violations} == {"audit_logon_events"} with input as legacy("0", "0")
}

test_fail_linux if {
	{v.subject | some v in log_01.violations} == {"audit"} with input as linux("0", "412", running)
	{v.subject | some v in log_01.violations} == {"audit"} with input as linux("1", "0", running)
	{v.subject | some v in log_01.violations} == {"journal"} with input as linux("1", "412", [])
}

test_unknown_subcategory if {
	every policy in [object.remove(wanted, ["0cce9248"]), object.union(wanted, {"0cce9248": ""}), object.union(wanted, {"0cce9248": "1x"})] {
		count(log_01.violations) == 0 with input as windows(policy)
		count(log_01.unknown) == 1 with input as windows(policy)
	}
	count(log_01.unknown) == 10 with input as windows({})
}

test_unknown_old_categories if {
	every h in [legacy("3", "1"), legacy("0", "1"), legacy("1", "0"), legacy("", "0"), legacy("3", ""), {"host": {"platform": "windows"}, "facts": {}}] {
		count(log_01.violations) == 0 with input as h
		count(log_01.unknown) == 1 with input as h
	}
}

test_unknown_linux if {
	every h in [linux("", "412", running), linux("1", "", running), linux("yes", "412", running), {"host": {"platform": "linux"}, "facts": {"audit_daemon": [], "journal": [{"name": "x"}]}}] {
		count(log_01.violations) == 0 with input as h
		count(log_01.unknown) == 1 with input as h
	}
	count(log_01.unknown) == 1 with input as {"host": {"platform": "linux"}, "facts": {"audit_daemon": [{"enabled": "1", "pid": "1"}]}}
}

test_pass_notes_lost_records if {
	h := linux("1", "412", running)
	rows := [object.union(h.facts.audit_daemon[0], {"lost": "7"})]
	count(log_01.notes) == 1 with input as h with input.facts.audit_daemon as rows
	count(log_01.violations) == 0 with input as h with input.facts.audit_daemon as rows
}

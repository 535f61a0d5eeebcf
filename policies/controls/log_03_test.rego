package muster.controls.log_03_test

import data.muster.controls.log_03

now := 1792418711

at(ago) := format_int(now - ago, 10)

failed(user, ago) := {"kind": "failed", "username": user, "host": "10.20.30.88", "at": at(ago)}

host(rows) := {
	"time": "2026-10-19T14:05:11Z",
	"host": {"platform": "windows"},
	"facts": {
		"failed_logons": rows,
		"logons": [],
		"audit_policy": [{
			"audit_logon_events": "3", "audit_account_manage": "3", "audit_policy_change": "3", "audit_system_events": "3",
			"audit_process_tracking": "3", "audit_object_access": "3", "subcategories": "0",
		}],
	},
}

five(user, gap) := [failed(user, 1000 + (gap * i)) | some i in numbers.range(0, 4)]

test_pass if {
	every rows in [[], array.slice(five("clerk", 1), 0, 4), five("clerk", 31), [failed(sprintf("u%d", [i]), 60) | some i in numbers.range(1, 49)]] {
		count(log_03.violations) == 0 with input as host(rows)
		count(log_03.unknown) == 0 with input as host(rows)
	}
}

test_pass_yesterday if count(log_03.violations) == 0 with input as host([failed("clerk", 86400 + i) | some i in numbers.range(0, 60)])

test_fail_burst if {
	rows := array.concat(five("Clerk", 30), [failed("other", 1010)])
	log_03.violations == {{"subject": "clerk", "found": "5 failed sign-ins, 5 or more of them within 2 minutes", "want": "fewer than 5"}} with input as host(rows)
}

# The order in which the log tells it does not matter, nor other tries around it.
test_fail_burst_among_others if {
	rows := array.flatten([failed("clerk", 40000), array.reverse(five("clerk", 20)), failed("clerk", 10)])
	{v.subject | some v in log_03.violations} == {"clerk"} with input as host(rows)
}

test_fail_names_of_nobody if {
	{v.subject | some v in log_03.violations} == {"names that are no account here"} with input as host(five("", 10))
}

test_fail_many if {
	rows := [failed(sprintf("u%d", [i]), 60 * i) | some i in numbers.range(1, 50)]
	{v.subject | some v in log_03.violations} == {"all accounts"} with input as host(rows)
}

test_fail_and_then_signed_in if {
	logon := {"username": "CLERK", "host": "10.20.30.88", "at": at(900)}
	h := host(five("clerk", 10))
	count(log_03.violations) == 2 with input as h with input.facts.logons as [logon]
	every other in [{"username": "other"}, {"host": "10.1.1.1"}, {"at": at(2000)}, {"at": ""}] {
		count(log_03.violations) == 1 with input as h with input.facts.logons as [object.union(logon, other)]
	}
	count(log_03.violations) == 0 with input as host([]) with input.facts.logons as [logon]
}

test_unknown_cleared if {
	rows := [{"kind": "cleared", "username": "", "host": "", "at": at(3600)}]
	count(log_03.violations) == 0 with input as host(rows)
	count(log_03.unknown) == 1 with input as host(rows)
	count(log_03.violations) == 1 with input as host(array.concat(rows, five("clerk", 1)))
	many := [{"kind": "cleared", "username": "", "host": "", "at": at(i)} | some i in numbers.range(0, 60)]
	count(log_03.violations) == 0 with input as host(many)
}

test_unknown_time if {
	rows := [object.union(failed("clerk", 1), {"at": ""})]
	count(log_03.violations) == 0 with input as host(rows)
	count(log_03.unknown) == 1 with input as host(rows)
}

test_unknown_where_failures_may_go_unrecorded if {
	h := host([])
	off := [object.union(h.facts.audit_policy[0], {"audit_logon_events": "0"})]
	count(log_03.unknown) == 1 with input as h with input.facts.audit_policy as off
	odd := [object.union(h.facts.audit_policy[0], {"subcategories": "1"})]
	count(log_03.unknown) == 1 with input as h with input.facts.audit_policy as odd
	count(log_03.unknown) == 1 with input as object.remove(h, ["facts"]) with input.facts.failed_logons as []
}

package muster.controls.av_01_test

import data.muster.controls.av_01

product(name, state, defender) := {"name": name, "state": state, "defender": defender}

windows(products, health, real_time) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {
		"antivirus": products,
		"security_center": [{"antivirus": health}],
		"defender": [{"real_time": real_time}],
	},
}

server(services) := {"host": {"platform": "windows", "profile": "ems"}, "facts": {"antivirus_services": services}}

linux(programs) := {
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {"antivirus": [{"name": name, "state": state} | some name, state in programs]},
}

none := []

on := [product("Microsoft Defender Antivirus", "On", "1")]

other := [product("Other Antivirus", "On", "0")]

pass(h) if {
	count(av_01.violations) == 0 with input as h
	count(av_01.unknown) == 0 with input as h
}

fail(h) := found if found := {v.subject | some v in av_01.violations} with input as h

unknown(h) if {
	count(av_01.violations) == 0 with input as h
	count(av_01.unknown) == 1 with input as h
}

test_pass if {
	pass(windows(on, "Good", "1"))
	pass(windows(on, "Good", ""))
	pass(windows(other, "Good", "0"))
}

# Old knowledge is another control's.
test_pass_defender_says_so_itself if {
	pass(windows(on, "Poor", "1"))
	pass({"host": {"platform": "windows", "profile": "ems"}, "facts": {"defender": [{"real_time": "1"}]}})
}

test_pass_ems_with_old_signatures if pass(object.union(windows(on, "Poor", ""), {"host": {"profile": "ems"}}))

test_pass_server if pass(server([{"name": "CrowdStrike Falcon Sensor", "status": "RUNNING"}]))

test_pass_linux if pass(linux({"systemd": "first process", "clamd": "On"}))

test_fail_name_only if {
	fail(linux({"systemd": "first process", "clamd": "Run by a user"})) == {"clamd", "antivirus"}
	pass(linux({"systemd": "first process", "clamd": "Run by a user", "wdavdaemon": "On"}))
}

test_fail_off if {
	every state in ["Off", "Snoozed", "Expired"] {
		fail(windows([product("Other Antivirus", state, "0")], "Good", "")) == {"Other Antivirus"}
	}
}

test_fail_health if {
	fail(windows(other, "Poor", "")) == {"Windows Security"}
	fail(windows(none, "Not Monitored", "")) == {"Windows Security"}
	fail(windows(none, "Snoozed", "")) == {"Windows Security"}
}

# The Security Center remembers what Defender itself denies.
test_fail_defender_is_off if fail(windows(on, "Good", "0")) == {"Microsoft Defender"}

test_fail_no_service_counts_beside_the_security_center if {
	h := windows(none, "Poor", "")
	running := [{"name": "CrowdStrike Falcon Sensor", "status": "RUNNING"}]
	count(av_01.violations) == 1 with input as h with input.facts.antivirus_services as running
}

test_fail_no_service_counts_beside_a_product_that_is_off if {
	h := server([{"name": "CrowdStrike Falcon Sensor", "status": "RUNNING"}])
	count(av_01.violations) == 1 with input as h with input.facts.antivirus as [product("CrowdStrike Falcon Sensor", "Off", "0")]
}

test_fail_linux if fail(linux({"systemd": "first process"})) == {"antivirus"}

test_unknown_state if {
	unknown(windows([product("Other Antivirus", "", "0")], "Poor", "0"))
	unknown(windows([product("Other Antivirus", "Unknown", "0")], "Good", "0"))
}

test_unknown_blank if {
	unknown(windows(on, "", ""))
	unknown(windows(on, "Error", "2"))
	unknown(windows(none, "Good", ""))
	unknown(windows(none, "", ""))
}

test_unknown_server if {
	unknown(server([{"name": "CrowdStrike Falcon Sensor", "status": "STOPPED"}]))
	unknown(server([]))
}

# Not even the first process: those of others are hidden.
test_unknown_linux if unknown(linux({}))

test_inapplicable if {
	h := {"host": {"platform": "windows", "profile": "ems"}, "facts": {"antivirus": []}}
	count(av_01.inapplicable) == 1 with input as h with data.lists.ems_baseline as {"antivirus": false}
	count(av_01.inapplicable) == 0 with input as h with data.lists.ems_baseline as {"antivirus": true}
	count(av_01.inapplicable) == 0 with input as windows(on, "Good", "1") with data.lists.ems_baseline as {"antivirus": false}
}

package muster.controls.ems_03_test

import data.muster.controls.ems_03

applocker(modes, service) := array.concat(
	[{"name": sprintf(`HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\SrpV2\%s`, [kind]), "data": mode} | some kind, mode in modes],
	[{"name": "AppIDSvc", "data": service}],
)

host(rows, status) := {"host": {"platform": "windows"}, "facts": {"app_control": rows, "code_integrity": [{"status": status}]}}

counts(h) := n if {
	n := [count(ems_03.violations), count(ems_03.unknown), count(ems_03.notes)] with input as h with data.lists.ems_baseline as {"app_control": true}
}

all := {"Exe": "1", "Dll": "1", "Msi": "1", "Script": "1"}

test_pass if {
	counts(host(applocker(all, "RUNNING"), "OFF")) == [0, 0, 0]
	counts(host([], "ENFORCED_MODE")) == [0, 0, 0]
	counts(host(applocker({"Exe": "1", "Dll": "1"}, "RUNNING"), "ENFORCED_MODE")) == [0, 0, 0]
}

test_pass_with_one_of_the_two if {
	counts({"facts": {"app_control": applocker(all, "RUNNING")}}) == [0, 0, 0]
	counts({"facts": {"code_integrity": [{"status": "ENFORCED_MODE"}]}}) == [0, 0, 0]
}

test_pass_notes if {
	counts(host(applocker({"Exe": "1", "Dll": "1", "Msi": "0"}, "RUNNING"), "OFF")) == [0, 0, 2]
	counts(host(applocker({"Exe": "1", "Dll": "1", "Msi": "1", "Script": "0"}, "RUNNING"), "OFF")) == [0, 0, 1]
}

test_fail if {
	every modes in [{}, {"Exe": "0", "Dll": "1"}, {"Exe": "1", "Dll": "0"}, {"Exe": "1"}, {"Dll": "1"}] {
		counts(host(applocker(modes, "RUNNING"), "OFF")) == [1, 0, 0]
	}
	counts(host(applocker(all, "STOPPED"), "OFF")) == [1, 0, 0]
	counts(host([], "AUDIT_MODE")) == [1, 0, 0]
}

test_fail_says_what_was_found if {
	v := ems_03.violations with input as host(applocker({"Exe": "0"}, "STOPPED"), "OFF")
	{x.found | some x in v} == {"programs: only recorded, libraries: not set, service: STOPPED"}
}

test_unknown if {
	every status in ["", "UNKNOWN"] {
		counts(host([], status)) == [0, 1, 0]
	}
	counts({"facts": {"app_control": []}}) == [0, 1, 0]
	counts({"facts": {"code_integrity": [{"status": "OFF"}]}}) == [0, 1, 0]
	counts(host(applocker({"Exe": "", "Dll": "7"}, "RUNNING"), "OFF")) == [0, 2, 0]
}

# What does not matter is not asked about.
test_pass_beside_an_odd_setting if counts(host(applocker({"Exe": "7"}, "STOPPED"), "ENFORCED_MODE")) == [0, 0, 0]

test_inapplicable if {
	count(ems_03.inapplicable) == 1 with data.lists.ems_baseline as {"app_control": false}
	count(ems_03.inapplicable) == 0 with data.lists.ems_baseline as {}
}

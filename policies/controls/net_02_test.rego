package muster.controls.net_02_test

import data.muster.controls.net_02

host(path) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {"listening": [{"protocol": "6", "port": "1433", "address": "0.0.0.0", "name": "sqlservr.exe", "path": path}]},
}

allow(port, path) := [{"protocol": "tcp", "port": port, "path": path}]

test_pass if {
	count(net_02.violations) == 0 with input as host(`C:\SQL\sqlservr.exe`) with data.lists.ports_allowed as allow(1433, `c:\sql\SQLSERVR.exe`)
	count(net_02.unknown) == 0 with input as host(`C:\SQL\sqlservr.exe`) with data.lists.ports_allowed as allow(1433, `c:\sql\SQLSERVR.exe`)
}

test_pass_any_program if count(net_02.violations) == 0 with input as host("") with data.lists.ports_allowed as allow(1433, "")

test_fail_port if count(net_02.violations) == 1 with input as host("") with data.lists.ports_allowed as allow(135, "")

test_fail_program if count(net_02.violations) == 1 with input as host(`C:\evil.exe`) with data.lists.ports_allowed as allow(1433, `C:\sql.exe`)

test_unknown_program if {
	count(net_02.violations) == 0 with input as host("") with data.lists.ports_allowed as allow(1433, `C:\sql.exe`)
	count(net_02.unknown) == 1 with input as host("") with data.lists.ports_allowed as allow(1433, `C:\sql.exe`)
}

test_pass_port_as_text if {
	count(net_02.violations) == 0 with input as host("") with data.lists.ports_allowed as [{"protocol": "TCP", "port": "1433"}]
}

test_unknown_when_windows_listens_nowhere if {
	h := {"host": {"platform": "windows"}, "facts": {"listening": []}}
	count(net_02.unknown) == 1 with input as h with data.lists.ports_allowed as []
}

local := `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\`

profiles := [{"key": concat("", [local, p]), "name": "EnableFirewall", "data": "1"} | some p in ["DomainProfile", "StandardProfile", "PublicProfile"]]

rule := {"name": "SQL", "app_name": "", "protocol": "TCP", "local_ports": "80, 1430-1440", "profile_public": "0", "service_name": ""}

guarded(profile, facts) := {
	"host": {"platform": "windows", "profile": profile},
	"facts": object.union(
		{
			"listening": [{"protocol": "6", "port": "1433", "address": "0.0.0.0", "name": "sqlservr.exe", "path": `C:\SQL\sqlservr.exe`}],
			"firewall_profiles": profiles,
			"firewall_service": [{"name": "mpssvc", "status": "RUNNING"}],
			"firewall_rules": [object.union(rule, {"local_ports": "80"})],
		},
		facts,
	),
}

judged(h, violations, notes) if {
	count(net_02.violations) == violations with input as h with data.lists.ports_allowed as []
	count(net_02.notes) == notes with input as h with data.lists.ports_allowed as []
}

other_rules := [
	object.union(rule, {"local_ports": "80,1434-1440"}),
	object.union(rule, {"protocol": "UDP"}),
	object.union(rule, {"protocol": ""}),
	object.union(rule, {"app_name": `%SystemRoot%\system32\svchost.exe`}),
	object.union(rule, {"name": "@{Microsoft.Store}", "protocol": "Any", "local_ports": "*"}),
]

test_pass_behind_the_firewall if {
	every r in other_rules {
		judged(guarded("workstation", {"firewall_rules": [r]}), 0, 1)
	}
}

test_pass_no_note_for_what_is_allowed if {
	count(net_02.notes) == 0 with input as guarded("workstation", {}) with data.lists.ports_allowed as allow(1433, "")
}

test_fail_a_rule_lets_in if {
	every change in [{}, {"protocol": "Any"}, {"local_ports": "*"}, {"local_ports": "RPC"}, {"app_name": `c:\sql\SQLSERVR.EXE`}] {
		judged(guarded("workstation", {"firewall_rules": array.concat(other_rules, [object.union(rule, change)])}), 1, 0)
	}
}

test_fail_program_that_is_not_seen if {
	h := guarded("workstation", {
		"listening": [{"protocol": "6", "port": "1433", "name": "x", "path": ""}],
		"firewall_rules": [object.union(rule, {"app_name": `C:\x.exe`})],
	})
	judged(h, 1, 0)
}

test_fail_on_an_ems_behind_the_firewall if judged(guarded("ems", {}), 1, 0)

test_fail_firewall_does_not_stop if {
	every facts in [
		{"firewall_service": [{"name": "mpssvc", "status": "STOPPED"}]},
		{"firewall_profiles": array.concat(profiles, [{"key": `HKLM\SOFTWARE\Policies\Microsoft\WindowsFirewall\PublicProfile`, "name": "EnableFirewall", "data": "0"}])},
		{"firewall_profiles": array.concat(profiles, [{"key": concat("", [local, "PublicProfile"]), "name": "DefaultInboundAction", "data": "0"}])},
		{"firewall_profiles": array.concat(profiles, [{"key": `HKLM\SOFTWARE\Policies\Microsoft\WindowsFirewall\FirewallRules`, "name": "rule", "data": "of a group policy"}])},
		{"firewall_profiles": [p | some p in profiles; not endswith(p.key, "PublicProfile")]},
		{"firewall_rules": []},
	] {
		judged(guarded("workstation", facts), 1, 0)
	}
}

test_unknown_port if {
	h := {"host": {"platform": "linux"}, "facts": {"listening": [{"protocol": "6", "port": "", "name": "x", "path": ""}]}}
	count(net_02.unknown) == 1 with input as h with data.lists.ports_allowed as []
}

test_pass_linux_where_nothing_listens if {
	h := {"host": {"platform": "linux"}, "facts": {"listening": []}}
	count(net_02.violations) == 0 with input as h with data.lists.ports_allowed as []
	count(net_02.unknown) == 0 with input as h with data.lists.ports_allowed as []
}

package muster.controls.net_03_test

import data.muster.controls.net_03

local := `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Terminal Server`

policy := `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows NT\Terminal Services`

windows(profile, values, facts) := {
	"host": {"platform": "windows", "profile": profile},
	"facts": object.union(
		{
			"rdp": [{"key": local, "name": name, "data": value} | some name, value in values],
			"listening": [{"port": "135", "protocol": "6", "name": "svchost.exe"}],
			"processes": [{"name": "System", "path": ""}],
			"firewall_profiles": [],
			"firewall_rules": [rule],
		},
		facts,
	),
}

linux(ports, names) := {
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {
		"listening": [{"port": p, "protocol": "6", "name": "x"} | some p in ports],
		"processes": [{"name": n, "path": ""} | some n in names],
	},
}

rule := {"name": "Core", "app_name": `%SystemRoot%\system32\svchost.exe`, "protocol": "UDP", "local_ports": "68", "profile_public": "1", "service_name": "dhcp"}

off := {"fDenyTSConnections": "1", "fAllowToGetHelp": "0"}

strong := {"fDenyTSConnections": "0", "UserAuthentication": "1", "SecurityLayer": "2"}

judged(h, violations, unknown, notes, allowed) if {
	count(net_03.violations) == violations with input as h with data.lists.rdp_allowed as allowed
	count(net_03.unknown) == unknown with input as h with data.lists.rdp_allowed as allowed
	count(net_03.notes) == notes with input as h with data.lists.rdp_allowed as allowed
}

test_pass if {
	judged(windows("workstation", off, {}), 0, 0, 0, false)
	judged(windows("ems", off, {}), 0, 0, 0, false)
	judged(windows("workstation", {"fDenyTSConnections": "1"}, {}), 0, 0, 0, false)
}

test_pass_policy_first if {
	h := windows("workstation", {}, {"rdp": [{"key": local, "name": "fDenyTSConnections", "data": "0"}, {"key": policy, "name": "fDenyTSConnections", "data": "1"}]})
	judged(h, 0, 0, 0, false)
}

test_pass_with_a_note_about_assistance if {
	judged(windows("workstation", {"fDenyTSConnections": "1", "fAllowToGetHelp": "1"}, {}), 0, 0, 1, false)
}

test_pass_allowed_and_strong if judged(windows("workstation", strong, {}), 0, 0, 1, true)

test_pass_linux if judged(linux(["22", "590"], ["systemd", "bash"]), 0, 0, 0, false)

test_fail_on if {
	judged(windows("workstation", strong, {}), 1, 0, 0, false)
	judged(windows("workstation", strong, {}), 1, 0, 0, "true")
	judged(windows("ems", object.union(strong, {"fAllowToGetHelp": "0"}), {}), 1, 0, 0, true)
}

test_fail_allowed_and_weak if {
	judged(windows("workstation", object.union(strong, {"UserAuthentication": "0"}), {}), 1, 0, 1, true)
	judged(windows("workstation", object.union(strong, {"SecurityLayer": "1"}), {}), 1, 0, 1, true)
	judged(windows("workstation", object.union(strong, {"SecurityLayer": "0"}), {}), 1, 0, 1, true)
	judged(windows("workstation", object.union(strong, {"UserAuthentication": "0"}), {}), 1, 0, 0, false)
}

public(change) := {"firewall_rules": [object.union(object.union(rule, {"name": "RDP", "protocol": "TCP", "local_ports": "3389", "service_name": "TermService"}), change)]}

test_fail_allowed_and_open_to_the_public if {
	judged(windows("workstation", strong, public({})), 1, 0, 1, true)
	judged(windows("workstation", strong, public({"service_name": "", "app_name": ""})), 1, 0, 1, true)
	judged(windows("workstation", object.union(strong, {"PortNumber": "4000"}), public({"local_ports": "4000"})), 1, 0, 1, true)
	judged(windows("workstation", strong, public({})), 1, 0, 0, false)
	judged(windows("workstation", off, public({})), 0, 0, 0, true)
}

test_pass_allowed_inside if {
	judged(windows("workstation", strong, public({"profile_public": "0"})), 0, 0, 1, true)
	judged(windows("workstation", strong, public({"service_name": "CDPSvc"})), 0, 0, 1, true)
	judged(windows("workstation", strong, public({"local_ports": "443"})), 0, 0, 1, true)
	judged(windows("workstation", object.union(strong, {"PortNumber": "4000"}), public({})), 0, 0, 1, true)
}

test_fail_assistance_on_an_ems if judged(windows("ems", object.union(off, {"fAllowToGetHelp": "1"}), {}), 1, 0, 0, false)

test_fail_open_although_off if {
	judged(windows("workstation", off, {"listening": [{"port": "3389", "protocol": "6", "name": "svchost.exe"}]}), 1, 0, 0, false)
	judged(windows("workstation", off, {"listening": [{"port": "3389", "protocol": "17", "name": "svchost.exe"}]}), 0, 0, 0, false)
	judged(windows("workstation", off, {"listening": [{"port": "5900", "protocol": "6", "name": "x.exe"}]}), 0, 0, 0, false)
	judged(windows("workstation", strong, {"listening": [{"port": "3389", "protocol": "6", "name": "svchost.exe"}]}), 0, 0, 1, true)
}

test_fail_linux if {
	judged(linux(["3389"], ["systemd"]), 1, 0, 0, false)
	judged(linux(["5909"], ["systemd"]), 1, 0, 0, false)
	judged(linux([], ["systemd", "xrdp"]), 1, 0, 0, false)
}

# A program of this name on Windows is for another control.
test_pass_windows_names if judged(windows("workstation", off, {"processes": [{"name": "krfb", "path": ""}]}), 0, 0, 0, false)

test_unknown_not_said if {
	judged(windows("workstation", {}, {}), 0, 1, 0, false)
	judged(windows("workstation", {"fDenyTSConnections": ""}, {}), 0, 1, 0, false)
	judged(windows("ems", {"fDenyTSConnections": "1"}, {}), 0, 1, 0, false)
	judged(windows("ems", {"fDenyTSConnections": "1", "fAllowToGetHelp": "yes"}, {}), 0, 1, 0, false)
}

test_unknown_strength if {
	judged(windows("workstation", {"fDenyTSConnections": "0", "UserAuthentication": "1"}, {}), 0, 1, 1, true)
	judged(windows("workstation", object.union(strong, {"UserAuthentication": ""}), {}), 0, 1, 1, true)
}

test_unknown_rules if {
	judged(windows("workstation", strong, {"firewall_rules": []}), 0, 1, 1, true)
	judged(windows("workstation", object.union(strong, {"PortNumber": ""}), {}), 0, 1, 1, true)
	judged(windows("workstation", strong, {"firewall_profiles": [{"key": "k", "name": "rule", "data": ""}]}), 0, 1, 1, true)
}

test_unknown_no_program if {
	judged(linux([], []), 0, 1, 0, false)
}

package muster.controls.net_01_test

import data.muster.controls.net_01

local := `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\`

policy := `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\WindowsFirewall\`

on := {concat("", [local, p, `Profile\EnableFirewall`]): "1" | some p in ["Domain", "Standard", "Public"]}

off := {concat("", [local, p, `Profile\EnableFirewall`]): "0" | some p in ["Domain", "Standard", "Public"]}

rows(values) := [{"key": regex.replace(path, `\\[^\\]*$`, ""), "name": regex.replace(path, `^.*\\`, ""), "data": value} | some path, value in values]

windows(values, state, health, products) := {
	"host": {"platform": "windows"},
	"facts": {
		"firewall_profiles": rows(values),
		"firewall_service": [{"name": "mpssvc", "status": s} | some s in state],
		"addresses": [],
		"security_center": [{"firewall": health, "autoupdate": "Good"}],
		"firewall_products": products,
	},
}

another := {"name": "Bitdefender Firewall", "state": "On", "remediation_path": `C:\bd.exe`}

linux(chains, zone, addresses) := {
	"host": {"platform": "linux"},
	"facts": {
		"firewall_profiles": chains,
		"firewall_service": [{"name": "DefaultZone", "status": z} | some z in zone],
		"addresses": [{"interface": "eth0", "address": a} | some a in addresses],
	},
}

chain(family, table, action, rules) := {"family": family, "table_name": table, "policy": action, "rules": rules}

firewalld := [chain("inet", "firewalld", "accept", "5")]

dual := ["10.0.0.2", "fe80::1"]

judged(h, violations, unknown) if {
	count(net_01.violations) == violations with input as h
	count(net_01.unknown) == unknown with input as h
}

test_pass if {
	judged(windows(on, ["RUNNING"], "Poor", []), 0, 0)
	judged(windows(object.union(off, {concat("", [policy, p, `Profile\EnableFirewall`]): "1" | some p in ["Domain", "Private", "Public"]}), ["RUNNING"], "Good", []), 0, 0)
	judged(windows(object.union(on, {concat("", [local, `PublicProfile\DefaultInboundAction`]): "1"}), ["RUNNING"], "Good", []), 0, 0)
}

test_pass_another_firewall if {
	h := windows(off, ["STOPPED"], "Good", [another])
	judged(h, 0, 0)
	count(net_01.notes) == 1 with input as h
	count(net_01.notes) == 0 with input as windows(on, ["RUNNING"], "Good", [])
}

test_pass_linux if {
	judged(linux([chain("inet", "filter", "drop", "3")], [], dual), 0, 0)
	judged(linux([chain("ip", "filter", "drop", "3"), chain("ip6", "filter", "drop", "0")], [], dual), 0, 0)
	judged(linux([chain("ip", "filter", "drop", "3")], [], ["10.0.0.2", "::1"]), 0, 0)
	judged(linux(firewalld, ["public"], dual), 0, 0)
	judged(linux(firewalld, [], dual), 0, 0)
	judged(linux(array.concat(firewalld, [chain("inet", "other", "accept", "0")]), [], dual), 0, 0)
}

test_fail_off if {
	judged(windows(object.union(on, {concat("", [local, `PublicProfile\EnableFirewall`]): "0"}), ["RUNNING"], "Good", []), 1, 1)
	judged(windows(object.union(on, {concat("", [policy, `PrivateProfile\EnableFirewall`]): "0"}), ["RUNNING"], "Good", []), 1, 1)
}

test_fail_open if judged(windows(object.union(on, {concat("", [local, `DomainProfile\DefaultInboundAction`]): "0"}), ["RUNNING"], "Good", []), 1, 1)

test_fail_stopped if judged(windows(on, ["STOPPED"], "Good", []), 1, 0)

# A policy's off is not made good by another firewall; nor is one that is off, that
# Windows does not trust, or that is Windows' own.
test_fail_without_another_firewall if {
	judged(windows(object.union(on, {concat("", [policy, `PublicProfile\EnableFirewall`]): "0"}), ["RUNNING"], "Good", [another]), 1, 1)
	judged(windows(off, ["RUNNING"], "Poor", [another]), 3, 3)
	judged(windows(off, ["RUNNING"], "Good", [object.union(another, {"state": "Off"})]), 3, 3)
	judged(windows(off, ["RUNNING"], "Good", [object.union(another, {"name": "Windows Firewall"})]), 3, 3)
	judged(windows(off, ["RUNNING"], "Good", [object.union(another, {"remediation_path": `%windir%\system32\firewall.cpl`})]), 3, 3)
}

# A value of the policy that is no switch of the firewall does not matter here.
test_pass_another_firewall_beside_other_policies if {
	judged(windows(object.union(off, {concat("", [policy, `PublicProfile\DefaultInboundAction`]): "0"}), ["STOPPED"], "Good", [another]), 0, 0)
	judged(windows(object.union(off, {concat("", [policy, `PublicProfile\EnableFirewall`]): "1"}), ["STOPPED"], "Good", [another]), 0, 0)
}

test_fail_linux if {
	judged(linux([], [], dual), 2, 0)
	judged(linux([], [], []), 2, 0)
	judged(linux([chain("inet", "filter", "accept", "0")], [], dual), 2, 0)
	judged(linux([chain("ip", "filter", "drop", "3")], [], dual), 1, 0)
	judged(linux([], [], ["10.0.0.2"]), 1, 0)
	judged(linux([chain("inet", "firewalld", "accept", "0")], ["public"], dual), 2, 0)
}

test_fail_linux_trusted_zone if {
	judged(linux(firewalld, ["trusted"], dual), 1, 2)
	judged(linux([chain("inet", "filter", "drop", "1")], ["trusted"], dual), 0, 0)
}

test_fail_linux_legacy if {
	h := linux([], [], ["10.0.0.2"])
	judged(object.union(h, {"facts": {"firewall_legacy": [{"policy": "ACCEPT", "target": ""}]}}), 1, 0)
	judged(object.union(linux([], [], dual), {"facts": {"firewall_legacy": [{"policy": "ACCEPT", "target": ""}], "firewall_modules": [{"name": "iptable_filter"}]}}), 2, 0)
	judged(object.union(linux([], [], dual), {"facts": {"firewall_modules": [{"name": "nf_tables"}]}}), 2, 0)
}

test_pass_linux_legacy if {
	h := linux([], [], ["10.0.0.2"])
	judged(object.union(h, {"facts": {"firewall_legacy": [{"policy": "DROP", "target": "ACCEPT"}]}}), 0, 0)
}

test_unknown_linux if {
	judged(linux([chain("inet", "filter", "accept", "4")], [], dual), 0, 2)
	judged(linux([chain("inet", "filter", "", "0")], [], dual), 0, 2)
	judged(linux(firewalld, ["county"], dual), 0, 2)
	legacy := object.union(linux([], [], dual), {"facts": {"firewall_legacy": [{"policy": "ACCEPT", "target": "REJECT"}]}})
	judged(legacy, 0, 2)
	judged(object.union(linux([], [], dual), {"facts": {"firewall_modules": [{"name": "iptable_filter"}, {"name": "ip6table_filter"}]}}), 0, 2)
}

test_unknown_values if {
	judged(windows({}, ["RUNNING"], "Good", []), 0, 3)
	judged(windows(object.union(on, {concat("", [local, `PublicProfile\EnableFirewall`]): ""}), ["RUNNING"], "Good", []), 0, 1)
	judged(windows(object.union(on, {concat("", [local, `PublicProfile\DefaultInboundAction`]): "2"}), ["RUNNING"], "Good", []), 0, 1)
}

test_unknown_service if {
	judged(windows(on, [], "Good", []), 0, 1)
	judged(windows(on, ["START_PENDING"], "Good", []), 0, 1)
}

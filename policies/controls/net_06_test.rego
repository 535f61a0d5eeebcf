package muster.controls.net_06_test

import data.muster.controls.net_06

windows(multicast, netbios) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {"name_resolution": array.concat(
		[{"key": `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient`, "name": "EnableMulticast", "data": m} | some m in multicast],
		[{"key": `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\NetBT\Parameters\Interfaces\Tcpip_{1}`, "name": "NetbiosOptions", "data": n} | some n in netbios],
	)},
}

linux(port, name) := {
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {"name_resolution": [{"port": port, "name": name}]},
}

test_pass if {
	count(net_06.violations) == 0 with input as windows(["0"], ["2", "2"])
	count(net_06.unknown) == 0 with input as windows(["0"], ["2", "2"])
}

test_pass_linux if {
	count(net_06.violations) == 0 with input as linux("5353", "firefox")
	count(net_06.notes) == 1 with input as linux("5353", "firefox")
}

test_fail_llmnr if count(net_06.violations) == 1 with input as windows([], ["2"])

test_fail_netbios if count(net_06.violations) == 1 with input as windows(["0"], ["1"])

test_fail_linux if {
	count(net_06.violations) == 1 with input as linux("5355", "systemd-resolve")
	count(net_06.violations) == 1 with input as linux("5353", "avahi-daemon")
	count(net_06.violations) == 1 with input as linux("137", "nmbd")
}

test_unknown_without_interfaces if count(net_06.unknown) == 1 with input as windows(["0"], [])

test_unknown_program_behind_mdns if {
	count(net_06.violations) == 0 with input as linux("5353", "")
	count(net_06.unknown) == 1 with input as linux("5353", "")
}

named(name, value) := {"key": `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows NT\DNSClient`, "name": name, "data": value}

beside(h, row) := {"host": h.host, "facts": {"name_resolution": array.concat(h.facts.name_resolution, [row])}}

judged(h, violations, unknown, notes) if {
	count(net_06.violations) == violations with input as h
	count(net_06.unknown) == unknown with input as h
	count(net_06.notes) == notes with input as h
}

test_pass_mdns_is_a_note if {
	judged(windows(["0"], ["2"]), 0, 0, 1)
	judged(beside(windows(["0"], ["2"]), named("EnableMDNS", "0")), 0, 0, 0)
	judged(beside(windows(["0"], ["2"]), named("EnableMDNS", "1")), 0, 0, 1)
	judged(linux("137", "nmbd"), 1, 0, 0)
}

test_pass_netbios_off_for_all if {
	judged(beside(windows(["0"], ["0"]), named("EnableNetbios", "0")), 0, 0, 1)
	judged(beside(windows(["0"], []), named("EnableNetbios", "2")), 0, 0, 1)
	judged(beside(windows(["0"], ["0"]), named("EnableNetbios", "1")), 1, 0, 1)
}

# What a policy allows, the computer's own setting does not forbid.
test_fail_netbios_on_by_policy if {
	own := {"key": `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Dnscache\Parameters`, "name": "EnableNetbios", "data": "2"}
	judged(beside(windows(["0"], ["0"]), own), 0, 0, 1)
	judged(beside(beside(windows(["0"], ["0"]), own), named("EnableNetbios", "1")), 1, 0, 1)
}

# An interface is there twice: with what it says, and with 0, which holds where it says nothing.
test_fail_netbios_of_a_silent_interface if {
	own := {"key": `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\NetBT\Parameters\Interfaces\Tcpip_{2}`, "name": "NetbiosOptions", "data": "0"}
	judged(beside(windows(["0"], ["2"]), own), 1, 0, 1)
	judged(beside(beside(windows(["0"], ["2"]), own), object.union(own, {"data": "2"})), 0, 0, 1)
}

test_fail_llmnr_on_by_policy if judged(windows(["1"], ["2"]), 1, 0, 1)

# Only a policy's word counts.
test_fail_llmnr_off_elsewhere if {
	row := {"key": `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Dnscache\Parameters`, "name": "EnableMulticast", "data": "0"}
	judged(beside(windows([], ["2"]), row), 1, 0, 1)
}

test_unknown_odd_values if {
	judged(windows([""], ["2"]), 0, 1, 1)
	judged(windows(["0"], [""]), 0, 1, 1)
	judged(windows(["0"], ["3"]), 0, 1, 1)
}

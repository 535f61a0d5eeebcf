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

test_fail_netbios if count(net_06.violations) == 1 with input as windows(["0"], ["2", "0"])

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

package muster.controls.air_03_test

import data.muster.controls.air_03

host(platform, services, hardware) := {"host": {"platform": platform}, "facts": {"radio_services": services, "radio_hardware": hardware}}

service(name, status, start) := {"name": name, "status": status, "start_type": start}

card(kind, blocked) := {"kind": kind, "name": "card", "blocked": blocked}

counts(h) := n if {
	n := [count(air_03.violations), count(air_03.unknown), count(air_03.notes)] with input as h
}

off := service("bthserv", "STOPPED", "DISABLED")

test_pass if {
	counts(host("windows", [], [])) == [0, 0, 0]
	counts(host("windows", [off, service("WlanSvc", "RUNNING", "AUTO_START")], [card("wifi", "0")])) == [0, 0, 0]
	counts(host("windows", [service("bthserv", "STOPPED", "DEMAND_START")], [])) == [0, 0, 0]
	counts(host("linux", [], [])) == [0, 0, 0]
}

test_pass_hardware_off if {
	counts(host("windows", [off], [card("bluetooth", "")])) == [0, 0, 1]
	counts(host("linux", [], [card("bluetooth", "1")])) == [0, 0, 1]
}

test_fail_service if {
	every name in ["bthserv", "BTAGService"] {
		counts(host("windows", [service(name, "RUNNING", "AUTO_START")], [])) == [1, 0, 0]
	}
	counts(host("linux", [service("bluetoothd", "RUNNING", "")], [])) == [1, 0, 0]
}

test_fail_hardware if {
	every start in ["AUTO_START", "DEMAND_START"] {
		counts(host("windows", [off, service("BTAGService", "STOPPED", start)], [card("bluetooth", "")])) == [1, 0, 1]
	}
	counts(host("linux", [], [card("bluetooth", "0")])) == [1, 0, 1]
}

test_unknown_service if {
	every odd in [service("bthserv", "", "DISABLED"), service("bthserv", "STOPPED", "")] {
		counts(host("windows", [odd], [])) == [0, 1, 0]
	}
}

test_unknown_radio if counts(host("linux", [], [card("bluetooth", "")])) == [0, 1, 1]

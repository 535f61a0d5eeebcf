package muster.controls.air_01_test

import data.muster.controls.air_01

host(gateway, address, dns) := {
	"host": {"platform": "linux", "profile": "ems"},
	"facts": {
		"routes": [{"destination": "0.0.0.0", "gateway": gateway, "interface": "eth0"}],
		"addresses": [{"interface": "eth0", "address": address}, {"interface": "lo", "address": "127.0.0.1"}],
		"dns_servers": [{"interface": "eth0", "address": dns}],
	},
}

networks := ["192.168.77.0/24"]

test_pass if {
	count(air_01.violations) == 0 with input as host("", "192.168.77.10", "127.0.0.53") with data.lists.closed_network as networks
	count(air_01.violations) == 0 with input as host("0.0.0.0", "fe80::1%eth0", "") with data.lists.closed_network as networks
	count(air_01.unknown) == 0 with input as host("", "192.168.77.10", "") with data.lists.closed_network as networks
}

test_fail_route if count(air_01.violations) == 1 with input as host("192.168.77.1", "192.168.77.10", "") with data.lists.closed_network as networks

test_fail_address if count(air_01.violations) == 1 with input as host("", "10.0.0.5", "") with data.lists.closed_network as networks

test_fail_name_servers if count(air_01.violations) == 2 with input as host("", "192.168.77.10", "8.8.8.8, 9.9.9.9") with data.lists.closed_network as networks

test_unknown_without_addresses if {
	h := {"host": {"profile": "ems"}, "facts": {"routes": [], "addresses": [], "dns_servers": []}}
	count(air_01.unknown) == 1 with input as h with data.lists.closed_network as networks
}

# A modem, a tunnel, several gateways at once: no gateway is shown.
test_fail_route_without_gateway if {
	every gateway in ["", "::"] {
		h := host(gateway, "192.168.77.10", "")
		rows := [object.union(h.facts.routes[0], {"type": "gateway"})]
		count(air_01.violations) == 1 with input as h with input.facts.routes as rows with data.lists.closed_network as networks
	}
}

test_pass_route_that_refuses if {
	h := host("", "192.168.77.10", "")
	rows := [object.union(h.facts.routes[0], {"type": "other"})]
	count(air_01.violations) == 0 with input as h with input.facts.routes as rows with data.lists.closed_network as networks
}

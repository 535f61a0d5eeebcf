package muster.controls.net_09_test

import data.muster.controls.net_09

lists := {"dns_servers": ["10.20.1.10", "2620:FE::fe"], "dns_from_dhcp": false}

dhcp := object.union(lists, {"dns_from_dhcp": true})

host(servers, leases) := {
	"host": {"platform": "windows"},
	"facts": {"dns_servers": [{"interface": "1", "address": s} | some s in servers], "dns_leases": [{"address": l} | some l in leases]},
}

judged(h, l, violations, unknown) if {
	count(net_09.violations) == violations with input as h with data.lists as l
	count(net_09.unknown) == unknown with input as h with data.lists as l
}

test_pass if {
	judged(host(["10.20.1.10, 2620:fe::FE"], []), lists, 0, 0)
	judged(host(["10.20.1.10", ""], []), dhcp, 0, 0)
}

test_pass_handed_out if {
	judged(host(["192.168.1.1", "172.20.0.1 fd00::1%3"], ["192.168.1.1 172.20.0.1", "fd00::1"]), dhcp, 0, 0)
}

test_fail if {
	judged(host(["10.20.1.10, 203.0.113.5"], []), lists, 1, 0)
	judged(host(["192.168.1.1"], ["192.168.1.1"]), lists, 1, 0)
	judged(host(["203.0.113.5"], ["203.0.113.5"]), dhcp, 1, 0)
	judged(host(["172.32.0.1"], ["172.32.0.1"]), dhcp, 1, 0)
	judged(host(["odd"], []), lists, 1, 0)
	judged(host(["192.168.1.1"], ["192.168.1.1"]), object.union(lists, {"dns_from_dhcp": "true"}), 1, 0)
}

test_unknown_who_gave_it if {
	judged(host(["192.168.1.1"], []), dhcp, 0, 1)
	judged({"host": {"platform": "linux"}, "facts": {"dns_servers": [{"interface": "/etc/resolv.conf", "address": "192.168.1.1"}]}}, dhcp, 0, 1)
}

test_unknown_local_server if {
	judged(host(["127.0.0.1"], []), lists, 0, 1)
	judged(host(["::1"], []), dhcp, 0, 1)
	judged(host(["127.0.0.1"], []), object.union(lists, {"dns_servers": ["127.0.0.1"]}), 0, 0)
}

test_unknown_none if {
	judged(host([], []), lists, 0, 1)
	judged(host([""], []), dhcp, 0, 1)
}

package muster.controls.net_08_test

import data.muster.controls.net_08

host(address, hostnames) := {
	"host": {"hostname": "CLERK-03", "platform": "linux", "profile": "workstation"},
	"facts": {"hosts_file": [{"address": address, "hostnames": hostnames}]},
}

lists := {"hosts_allowed": ["ems-srv-01"], "protected_domains": ["sos.example.gov"]}

test_pass if {
	count(net_08.violations) == 0 with input as host("127.0.0.1", "localhost localhost.localdomain") with data.lists as lists
	count(net_08.violations) == 0 with input as host("127.0.1.1", "clerk-03.county.example.gov clerk-03") with data.lists as lists
	count(net_08.violations) == 0 with input as host("ff02::1", "ip6-allnodes") with data.lists as lists
	count(net_08.violations) == 0 with input as host("192.168.77.10", "EMS-SRV-01") with data.lists as lists
}

test_fail_unknown_name if count(net_08.violations) == 1 with input as host("10.0.0.1", "intranet") with data.lists as lists

test_fail_localhost_led_away if count(net_08.violations) == 1 with input as host("10.0.0.1", "localhost") with data.lists as lists

test_fail_protected_however_the_list_says_it if {
	every domain in [".SOS.example.gov", "*.sos.example.gov"] {
		l := {"hosts_allowed": ["vote.sos.example.gov"], "protected_domains": [domain]}
		count(net_08.violations) == 1 with input as host("10.0.0.1", "vote.sos.example.gov") with data.lists as l
	}
}

test_fail_protected_even_when_allowed if {
	l := object.union(lists, {"hosts_allowed": ["vote.sos.example.gov"]})
	count(net_08.violations) == 1 with input as host("10.0.0.1", "vote.sos.example.gov") with data.lists as l
	count(net_08.violations) == 0 with input as host("10.0.0.1", "vote.sos.example.gov.test") with data.lists as object.union(l, {"hosts_allowed": ["vote.sos.example.gov.test"]})
}

# The engine answers unknown where the file could not be read: nothing is claimed here.
test_unknown_without_the_file if count(net_08.violations) == 0 with input as {"host": {"hostname": "x"}, "facts": {}} with data.lists as lists

test_pass_short_name_of_this_computer if {
	h := host("127.0.1.1", "clerk-03.county.example.gov clerk-03")
	count(net_08.violations) == 0 with input as h with input.host.hostname as "clerk-03.county.example.gov" with data.lists as lists
}

test_unknown_list_of_another_shape if {
	l := {"hosts_allowed": ["vote.sos.example.gov"], "protected_domains": "sos.example.gov"}
	count(net_08.violations) == 0 with input as host("10.0.0.1", "vote.sos.example.gov") with data.lists as l
	count(net_08.unknown) == 1 with input as host("10.0.0.1", "vote.sos.example.gov") with data.lists as l
}

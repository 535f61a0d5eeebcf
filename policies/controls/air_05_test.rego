package muster.controls.air_05_test

import data.muster.controls.air_05

host(domain, gateway) := {
	"host": {"platform": "windows", "profile": "ems"},
	"facts": {
		"domain": [{"domain_name": domain}],
		"domain_registry": [{"key": `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`, "name": "Domain", "data": ""}],
		"routes": [{"destination": "0.0.0.0", "gateway": gateway}],
	},
}

test_pass if count(air_05.violations) == 0 with input as host("", "10.0.0.1") with data.lists.closed_domain as ""

test_pass_closed_domain if {
	count(air_05.violations) == 0 with input as host("EMS", "") with data.lists.closed_domain as "ems.local"
	count(air_05.notes) == 1 with input as host("EMS", "") with data.lists.closed_domain as "ems.local"
}

test_fail_joined if count(air_05.violations) == 1 with input as host("COUNTY", "") with data.lists.closed_domain as "ems.local"

test_fail_closed_domain_with_a_way_out if count(air_05.violations) == 1 with input as host("EMS", "10.0.0.1") with data.lists.closed_domain as "ems.local"

test_fail_cloud if {
	h := {"facts": {"domain": [], "routes": [], "domain_registry": [{"key": `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\CloudDomainJoin\JoinInfo`, "name": "AB12", "data": ""}]}}
	count(air_05.violations) == 1 with input as h with data.lists.closed_domain as ""
}

# The engine answers unknown where a fact is not ok: nothing is claimed here.
test_unknown_without_facts if count(air_05.violations) == 0 with input as {"facts": {}} with data.lists.closed_domain as ""

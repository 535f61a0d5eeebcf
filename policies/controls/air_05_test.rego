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

test_unknown_when_nothing_was_said if {
	h := host("", "")
	count(air_05.unknown) == 0 with input as h with data.lists.closed_domain as ""
	count(air_05.unknown) == 0 with input as h with input.facts.domain as [] with data.lists.closed_domain as ""
	count(air_05.unknown) == 0 with input as h with input.facts.domain_registry as [] with data.lists.closed_domain as ""
	count(air_05.unknown) == 1 with input as h with input.facts.domain as [] with input.facts.domain_registry as [] with data.lists.closed_domain as ""
}

# On Linux no trace of a domain means that there is none.
test_pass_linux if {
	h := {"host": {"platform": "linux"}, "facts": {"domain": [], "routes": []}}
	count(air_05.unknown | air_05.violations) == 0 with input as h with data.lists.closed_domain as ""
}

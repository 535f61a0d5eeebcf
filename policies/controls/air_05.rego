# METADATA
# title: The EMS computer is not joined to the county network or cloud
# description: >-
#   A joined computer obeys administrators and policies from outside the election office.
# custom:
#   id: MVS-AIR-05
#   severity: critical
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [domain, domain_registry, routes]
#   lists: [closed_domain]
#   maps:
#     cis: ["12.2"]
#     cpg1: ["2.F"]
#     cpg2: ["3.I"]
#     csf: ["PR.IR-01"]
#     belfer: ["7"]
#     nist: ["AC-4", "SC-7"]
#     vvsg: ["14.2-E"]
#   remedy: >-
#     Ask the vendor and county IT to take this computer out of the county domain. Do it before an election period, never during one.
package muster.controls.air_05

import data.muster.lib

# Some systems of several computers have an election domain of their own. It
# must not lead anywhere else.
closed(domain) if {
	name := lower(data.lists.closed_domain)
	lower(domain) in {name, split(name, ".")[0]}
	count(lib.ways_out) == 0
}

violations contains {"subject": "domain", "found": sprintf("joined to %s", [domain]), "want": "not joined"} if {
	some domain in lib.domains
	not closed(domain)
}

unknown contains "Windows does not say whether it is joined" if {
	lib.windows
	count(input.facts.domain) + count(input.facts.domain_registry) == 0
}

notes contains sprintf("joined to the closed election domain %s", [domain]) if {
	some domain in lib.domains
	closed(domain)
}

# METADATA
# title: The EMS computer has no way out to another network
# description: >-
#   An election management system must stand apart from the internet and from the office network.
# custom:
#   id: MVS-AIR-01
#   severity: critical
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [routes, addresses, dns_servers]
#   lists: [closed_network]
#   maps:
#     cis: ["12.2"]
#     cpg1: ["2.F", "2.X"]
#     cpg2: ["3.I"]
#     csf: ["PR.IR-01"]
#     belfer: ["7"]
#     nist: ["SC-7", "AC-4"]
#     vvsg: ["14.2-E"]
#   remedy: >-
#     Unplug the network cable that leads out of the election network, and tell your vendor. Do not use this computer for results until someone has checked it.
package muster.controls.air_01

import data.muster.lib

violations contains {"subject": "default route", "found": sprintf("leads to %s", [to(r)]), "want": "no way out"} if {
	some r in lib.ways_out
}

to(r) := r.gateway if r.gateway != ""

to(r) := trim_space(concat(" ", ["the network", r.interface])) if r.gateway == ""

violations contains {"subject": "name server", "found": server, "want": "none"} if {
	some d in input.facts.dns_servers
	some server in regex.split(`[,\s]+`, trim_space(d.address))
	server != ""
	not lib.inside(server, ["127.0.0.0/8", "::1/128"])
}

violations contains {"subject": sprintf("address on %s", [a.interface]), "found": a.address, "want": "inside the list closed_network"} if {
	some a in input.facts.addresses
	not lib.inside(a.address, lib.harmless)
	not lib.inside(a.address, data.lists.closed_network)
}

unknown contains "no address was seen, not even the computer's own" if count(input.facts.addresses) == 0

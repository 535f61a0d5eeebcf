# METADATA
# title: DNS servers are the approved ones
# description: >-
#   Whoever controls the address book of the internet controls which site staff see.
# custom:
#   id: MVS-NET-09
#   severity: medium
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [dns_servers, {any: [dns_servers, dns_leases]}]
#   lists: [dns_servers, dns_from_dhcp]
#   maps:
#     cis: ["4.9", "9.2"]
#     cpg1: ["2.F"]
#     cpg2: ["3.I"]
#     csf: ["PR.IR-01"]
#     belfer: ["7"]
#     nist: ["SC-20"]
#   remedy: >-
#     Set the network card back to automatic DNS, or to the addresses your county IT gives you. Consider a protective DNS service for the whole office.
package muster.controls.net_09

addresses(rows) := {lower(split(address, "%")[0]) |
	some r in rows
	some address in regex.split(`[,\s]+`, r.address)
	address != ""
}

servers := addresses(input.facts.dns_servers)

approved := {lower(address) | some address in data.lists.dns_servers}

# A program on the computer itself, which asks others.
own contains s if {
	some s in servers
	regex.match(`^(127\.|::1$)`, s)
}

private contains s if {
	some s in servers
	data.lists.dns_from_dhcp == true
	regex.match(`^(10\.|192\.168\.|172\.(1[6-9]|2[0-9]|3[01])\.|f[cd][0-9a-f]{2}:)`, s)
}

leased := addresses(input.facts.dns_leases)

violations contains {"subject": "DNS server", "found": s, "want": "on the list dns_servers"} if {
	some s in (((servers - approved) - own) - private)
}

unknown contains sprintf("cannot see whether the network handed out the DNS server %s", [s]) if {
	some s in (private - approved)
	not handed_out(s)
}

handed_out(s) if s in leased

unknown contains sprintf("a program on this computer (%s) answers for names, and whom it asks cannot be seen", [s]) if {
	some s in (own - approved)
}

unknown contains "no DNS server was seen" if count(servers) == 0

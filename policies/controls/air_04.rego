# METADATA
# title: No sign that the EMS computer has touched the internet
# description: >-
#   The air gap must be shown to hold, not only planned.
# custom:
#   id: MVS-AIR-04
#   severity: critical
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [open_sockets]
#   also: [connectivity, dns_cache, network_profiles, online_updates]
#   lists: [closed_network, closed_domain, ems_baseline]
#   maps:
#     cis: ["12.2", "13.4"]
#     cpg1: ["2.X"]
#     cpg2: ["3.I"]
#     csf: ["DE.CM-01"]
#     belfer: ["7"]
#     nist: ["SC-7", "SI-4"]
#     vvsg: ["14.2-E"]
#   remedy: >-
#     Disconnect the computer and keep it switched on, so that evidence is kept. Call the vendor and your state election security contact.
package muster.controls.air_04

import data.muster.lib

since := lib.date(data.lists.ems_baseline.date)

violations contains {"subject": "Windows", "found": sprintf("says that it has internet (%s)", [column]), "want": "no internet"} if {
	some c in input.facts.connectivity
	some column, "1" in c
}

violations contains {"subject": object.get({"": "a program that could not be seen"}, s.name, s.name), "found": sprintf("a connection with %s", [s.address]), "want": "only inside the list closed_network"} if {
	some s in input.facts.open_sockets
	not lib.inside(s.address, lib.harmless)
	not lib.inside(s.address, data.lists.closed_network)
}

violations contains {"subject": n.name, "found": "a name on the internet that was looked up", "want": "only names of the closed network"} if {
	some n in input.facts.dns_cache
	not lib.private_name(n.name, data.lists.closed_domain)
}

violations contains {"subject": e.name, "found": sprintf("%s on %s", [e.what, e.day]), "want": sprintf("none since the certified build of %s", [since])} if {
	some e in events
	lib.date(e.day) > since
}

events contains {"name": u.name, "what": "an update from a network", "day": u.day} if {
	some u in input.facts.online_updates
	from_elsewhere(u)
}

# Windows does not say which server it was.
from_elsewhere(_) if lib.windows

from_elsewhere(u) if not lib.ours(u.server, data.lists.closed_network, data.lists.closed_domain)

events contains {"name": p.name, "what": "a new network", "day": p.created} if {
	some p in input.facts.network_profiles
}

unknown contains "Windows does not say whether it has internet" if {
	lib.windows
	count([c | some c in input.facts.connectivity; c.ipv4_internet in {"0", "1"}; c.ipv6_internet in {"0", "1"}]) == 0
}

unknown contains sprintf("%s of %s: cannot see when", [e.what, e.name]) if {
	some e in events
	not lib.date(e.day)
}

unknown contains sprintf("%s on %s, and the list ems_baseline does not say since when there may be none: %s", [e.what, e.day, e.name]) if {
	some e in events
	not since
}

# METADATA
# title: Only known services listen on the network
# description: >-
#   Each open port is a door that someone else may find first.
# custom:
#   id: MVS-NET-02
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [listening, {any: [listening, firewall_profiles, firewall_service, firewall_rules]}]
#   lists: [ports_allowed]
#   maps:
#     cis: ["4.8"]
#     cpg1: ["2.W"]
#     cpg2: ["3.S"]
#     csf: ["PR.PS-01"]
#     belfer: ["7"]
#     nist: ["CM-7"]
#     vvsg: ["14.2-A"]
#   remedy: >-
#     Show IT the list of programs that accept connections and ask which ones are needed. Have the others stopped or removed.
package muster.controls.net_02

import data.muster.lib

protocols := {"6": "tcp", "17": "udp", "136": "udp"}

open contains {"protocol": object.get(protocols, l.protocol, l.protocol), "port": lib.num(l.port), "path": object.get(l, "path", ""), "name": object.get(l, "name", "")} if {
	some l in input.facts.listening
}

entries(o) := [e | some e in data.lists.ports_allowed; lower(e.protocol) == o.protocol; to_number(e.port) == o.port]

allowed(o) if {
	some e in entries(o)
	lib.folded(object.get(e, "path", "")) in {"", lib.folded(o.path)}
}

# Without rights the program behind a port is not shown.
hidden(o) if {
	o.path == ""
	count(entries(o)) > 0
}

door(o) := sprintf("%s/%d", [o.protocol, o.port])

program(o) := trim_space(concat(" ", [o.name, o.path])) if o.name != ""

program(o) := object.get({"": "a program that could not be seen"}, o.path, o.path) if o.name == ""

unlisted contains o if {
	some o in open
	not allowed(o)
	not hidden(o)
}

# Windows' firewall is on everywhere and no rule lets anybody in. An EMS has no
# program that listens beside those on the list, firewall or not.
stopped(o) if {
	lib.windows
	not lib.ems
	"RUNNING" in {s.status | some s in input.facts.firewall_service}
	{f.on | some f in lib.firewall} == {"1"}
	{f.inbound | some f in lib.firewall} - {"1", "absent"} == set()
	not lib.group_rules
	count(input.facts.firewall_rules) > 0
	not reached(o)
}

reached(o) if {
	some rule in input.facts.firewall_rules
	lib.lets_in(rule, o)
}

violations contains {"subject": door(o), "found": program(o), "want": "on the list ports_allowed, or stopped"} if {
	some o in unlisted
	not stopped(o)
}

notes contains sprintf("%s listens on %s, which the firewall blocks and the list ports_allowed does not name", [program(o), door(o)]) if {
	lib.windows
	some o in unlisted
	stopped(o)
}

# Windows itself always listens.
unknown contains "no open port was seen, not even Windows' own" if {
	lib.windows
	count(open) == 0
}

unknown contains "a port could not be read" if {
	some l in input.facts.listening
	not lib.num(l.port)
}

unknown contains sprintf("cannot see which program listens on %s", [door(o)]) if {
	some o in open
	not allowed(o)
	hidden(o)
}

# METADATA
# title: The firewall is on for every network and blocks incoming traffic
# description: >-
#   The firewall keeps one infected office computer from reaching the rest.
# custom:
#   id: MVS-NET-01
#   severity: critical
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [firewall_profiles, firewall_service, addresses, {any: [firewall_profiles, security_center, firewall_products, firewall_legacy, firewall_modules]}]
#   maps:
#     cis: ["4.4", "4.5"]
#     cpg1: ["2.F"]
#     cpg2: ["3.I"]
#     csf: ["PR.IR-01"]
#     belfer: ["7"]
#     nist: ["SC-7"]
#     vvsg: ["14.2-F"]
#   remedy: >-
#     Open Windows Security, choose Firewall and network protection, and switch every network on. If it switches itself off again, stop and call IT.
#   remedies:
#     linux: >-
#       Ask IT to switch on the firewall (ufw or firewalld) and to let it block everything that comes in uninvited. If it switches itself off again, stop and call IT.
package muster.controls.net_01

import data.muster.lib

# A firewall of another maker may take the place of Windows' own, but not where a
# policy switched that off.
replaced contains p.name if {
	"Good" in {s.firewall | some s in input.facts.security_center}
	not switched_off
	some p in input.facts.firewall_products
	p.state == "On"
	not regex.match(`(?i)firewall\.cpl|windowsdefender:`, p.remediation_path)
	not regex.match(`(?i)^(windows|microsoft) `, p.name)
}

switched_off if {
	some r in input.facts.firewall_profiles
	contains(lower(r.key), `\policies\`)
	lower(r.name) == "enablefirewall"
	r.data == "0"
}

own if count(replaced) == 0

violations contains {"subject": sprintf("%s networks", [network]), "found": "the firewall is off", "want": "on"} if {
	lib.windows
	own
	some network, f in lib.firewall
	f.on == "0"
}

violations contains {"subject": sprintf("%s networks", [network]), "found": "the firewall lets in whatever comes", "want": "blocks incoming connections"} if {
	lib.windows
	own
	some network, f in lib.firewall
	f.inbound == "0"
}

unknown contains sprintf("cannot tell whether the firewall works on %s networks (EnableFirewall = %s, DefaultInboundAction = %s)", [network, f.on, f.inbound]) if {
	lib.windows
	own
	some network, f in lib.firewall
	not [f.on, f.inbound] in [["1", "1"], ["1", "absent"]]
}

state := concat("", [s.status | some s in input.facts.firewall_service])

violations contains {"subject": "the firewall's service (mpssvc)", "found": "stopped", "want": "running"} if {
	lib.windows
	own
	state == "STOPPED"
}

unknown contains sprintf("the firewall's service (mpssvc) says %q", [state]) if {
	lib.windows
	own
	not state in {"RUNNING", "STOPPED"}
}

notes contains sprintf("%s takes the place of Windows' own firewall", [name]) if {
	lib.windows
	some name in replaced
}

# Linux: what the kernel does with a packet that no rule lets in.
families := {"ip": {"IPv4"}, "ip6": {"IPv6"}, "inet": {"IPv4", "IPv6"}}

shut(chain) if chain.policy == "drop"

# firewalld refuses in its last rule; these zones of its own do.
shut(chain) if {
	chain.table_name == "firewalld"
	chain.rules != "0"
	every zone in input.facts.firewall_service {
		lower(zone.status) in {"block", "dmz", "drop", "external", "home", "internal", "public", "work"}
	}
}

closed contains family if {
	some chain in input.facts.firewall_profiles
	shut(chain)
	some family in families[chain.family]
}

closed contains "IPv4" if {
	some rule in input.facts.firewall_legacy
	rule.policy == "DROP"
}

# Rules may refuse the rest as well, and are not seen.
perhaps contains family if {
	some chain in input.facts.firewall_profiles
	[chain.policy, chain.rules] != ["accept", "0"]
	some family in families[chain.family]
}

perhaps contains family if {
	some rule in input.facts.firewall_legacy
	[rule.policy, rule.target] != ["ACCEPT", ""]
	some family in families.inet
}

# The older kind is loaded, and could not be asked.
perhaps contains family if {
	not input.facts.firewall_legacy
	some module in input.facts.firewall_modules
	family := {"iptable_filter": "IPv4", "ip6table_filter": "IPv6"}[module.name]
}

spoken contains "IPv4"

spoken contains "IPv6" if not only_ipv4

only_ipv4 if {
	count(input.facts.addresses) > 0
	count({a.address | some a in input.facts.addresses; contains(a.address, ":")} - {"::1"}) == 0
}

violations contains {"subject": family, "found": "nothing blocks incoming connections", "want": "a firewall that blocks what no rule lets in"} if {
	not lib.windows
	some family in ((spoken - closed) - perhaps)
}

violations contains {"subject": "firewalld", "found": "its zone trusted lets in whatever comes", "want": "another zone, such as public"} if {
	not lib.windows
	"trusted" in {lower(zone.status) | some zone in input.facts.firewall_service}
	some chain in input.facts.firewall_profiles
	chain.table_name == "firewalld"
}

unknown contains sprintf("%s: there are rules, and whether they block the rest cannot be seen", [family]) if {
	not lib.windows
	some family in ((spoken - closed) & perhaps)
}

# METADATA
# title: The hosts file has not been changed
# description: >-
#   A changed hosts file can send staff to a fake state voter registration site.
# custom:
#   id: MVS-NET-08
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [hosts_file]
#   lists: [hosts_allowed, protected_domains]
#   maps:
#     cis: ["4.1"]
#     cpg1: ["2.O"]
#     cpg2: ["3.N"]
#     csf: ["PR.PS-01"]
#     belfer: ["7"]
#     nist: ["CM-6", "SI-7"]
#     vvsg: ["14.2-F"]
#   remedy: >-
#     Ask IT to remove the unknown lines and to find out what added them. Do not sign in to state systems from this computer until that is done.
package muster.controls.net_08

names contains {"address": h.address, "name": lower(name)} if {
	some h in input.facts.hosts_file
	some name in regex.split(`\s+`, trim_space(h.hostnames))
	name != ""
}

loopback(address) if startswith(address, "127.")

loopback("::1")

own := lower(input.host.hostname)

protected(name) if {
	some domain in data.lists.protected_domains
	endswith(concat("", [".", name]), concat("", [".", trim_left(lower(domain), "*.")]))
}

allowed(n) if {
	loopback(n.address)
	regex.match(`^(localhost[46]?(\.localdomain[46]?)?|ip6-(localhost|loopback))$`, n.name)
}

# Debian's and Windows' own lines, which lead nowhere.
allowed(n) if n.name in {"ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters", "ip6-allhosts", "broadcasthost"}

allowed(n) if n.name in {own, split(own, ".")[0]}

allowed(n) if startswith(n.name, concat("", [own, "."]))

allowed(n) if n.name in {lower(name) | some name in data.lists.hosts_allowed}

violations contains {"subject": n.name, "found": sprintf("led to %s", [n.address]), "want": "no entry for a protected site"} if {
	some n in names
	protected(n.name)
}

violations contains {"subject": n.name, "found": sprintf("led to %s", [n.address]), "want": "no entry, or one on the list hosts_allowed"} if {
	some n in names
	not protected(n.name)
	not allowed(n)
}

# A protected site on hosts_allowed is caught by this list alone.
unknown contains "the list protected_domains is no list" if not is_array(data.lists.protected_domains)

# METADATA
# title: No folder is shared except the approved ones
# description: >-
#   A forgotten shared folder can expose voter data to the whole building.
# custom:
#   id: MVS-NET-07
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [shares, samba, {any: [shares, services]}]
#   lists: [shares_allowed]
#   maps:
#     cis: ["3.3"]
#     cpg1: ["2.L"]
#     cpg2: ["3.H"]
#     csf: ["PR.AA-05"]
#     belfer: ["7"]
#     nist: ["AC-3", "CM-7"]
#     vvsg: ["14.2-A"]
#   remedy: >-
#     Open Computer Management, Shared Folders, and stop sharing any folder you do not recognise. Keep shared election files on the county server instead.
#   remedies:
#     linux: >-
#       Ask IT to stop sharing any folder you do not recognise. Keep shared election files on the county server instead.
package muster.controls.net_07

import data.muster.lib

allowed := {lib.folded(name) | some name in data.lists.shares_allowed}

# Windows: the highest bit marks its own shares, the lowest two tell folders (0)
# from printers, devices and pipes.
kind(share) := lib.dword(share.type) % 4

own(share) if lib.dword(share.type) >= 2147483648

shared contains {"name": s.name, "where": s.path} if {
	lib.windows
	some s in input.facts.shares
	kind(s) == 0
	not own(s)
	lower(s.name) != "print$"
}

# Linux: Samba's settings are there without its server too.
shared contains {"name": s.name, "where": s.type} if {
	not lib.windows
	some s in input.facts.shares
	s.type in ({"nfs"} | {"samba" | some _ in input.facts.samba})
}

violations contains {"subject": s.name, "found": sprintf("shared (%s)", [s.where]), "want": "on the list shares_allowed, or not shared"} if {
	some s in shared
	not lib.folded(s.name) in allowed
}

unknown contains sprintf("cannot tell what kind of share %s is", [s.name]) if {
	lib.windows
	some s in input.facts.shares
	not kind(s)
}

unknown contains sprintf("%s may share more, and is not read", [s.name]) if {
	not lib.windows
	some s in input.facts.shares
	s.type == "elsewhere"
}

unknown contains "no share was seen, not even Windows' own" if {
	lib.windows
	count(input.facts.shares) == 0
	not idle
}

idle if {
	some s in input.facts.services
	lower(s.name) == "lanmanserver"
	s.status == "STOPPED"
}

notes contains sprintf("Windows shares %s for administrators", [s.name]) if {
	lib.windows
	lib.ems
	some s in input.facts.shares
	own(s)
}

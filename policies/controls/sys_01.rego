# METADATA
# title: There is enough free disk space
# description: >-
#   A full disk stops updates, logs and even ballot files.
# custom:
#   id: MVS-SYS-01
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [disk_space]
#   maps:
#     cis: ["8.3"]
#     cpg1: ["2.T"]
#     cpg2: ["3.Q"]
#     csf: ["PR.IR-04"]
#     belfer: ["8"]
#     nist: ["AU-4", "CP-2"]
#   remedy: >-
#     Empty the recycle bin and move old files to the county server. On an election management computer, archive past elections the way the vendor describes.
package muster.controls.sys_01

import data.muster.lib

percent := 25 if lib.ems

percent := 15 if not lib.ems

# A large disk may be fuller; an election management system must always have room.
roomy(free) if {
	not lib.ems
	free >= 20000000000
}

volumes := [v |
	some v in input.facts.disk_space
	not v.volume in lib.removable
]

violations contains {"subject": v.volume, "found": sprintf("%d%% free", [floor((100 * free) / size)]), "want": {25: "25% free", 15: "15% or 20 GB free"}[percent]} if {
	some v in volumes
	free := lib.num(v.free)
	size := lib.num(v.size)
	free >= 0
	size > 0
	100 * free < percent * size
	not roomy(free)
}

unknown contains sprintf("%s does not say how full it is", [v.volume]) if {
	some v in volumes
	not readable(v)
}

readable(v) if {
	lib.num(v.free) >= 0
	lib.num(v.size) > 0
}

unknown contains "no fixed disk was seen" if count(volumes) == 0

# METADATA
# title: No installed program is past its end of support
# description: >-
#   Old Office, Java, database or PDF programs are a common way in.
# custom:
#   id: MVS-UPD-06
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [software]
#   lists: [unsupported_software, ems_baseline]
#   maps:
#     cis: ["2.2"]
#     cpg1: ["1.E"]
#     cpg2: ["2.B"]
#     csf: ["PR.PS-02"]
#     belfer: ["9"]
#     nist: ["SA-22"]
#     vvsg: ["14.2-K"]
#   remedy: >-
#     Ask IT to remove or replace the listed program with a version that still gets fixes. If the voting system needs it, ask the vendor for a written plan.
package muster.controls.upd_06

import data.muster.lib

hits := lib.matching(lib.programs, data.lists.unsupported_software)

certified := {concat(" ", [p.name, p.version]) |
	lib.ems
	some p in data.lists.ems_baseline.software
}

violations contains {"subject": program, "found": "no longer gets security fixes", "want": "removed, or replaced by a supported version"} if {
	some program in (hits - certified)
}

unknown contains "the list unsupported_software names no program" if not lib.named(data.lists.unsupported_software)

unknown contains "no installed program was seen at all" if count(lib.programs) == 0

notes contains sprintf("%s no longer gets fixes; accepted as part of the certified build", [program]) if {
	some program in (hits & certified)
}

# METADATA
# title: The operating system still gets security updates
# description: >-
#   An unsupported system keeps every hole found after its end date, and attackers look for exactly these machines before an election.
# custom:
#   id: MVS-UPD-01
#   severity: critical
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [os_version, os_edition]
#   lists: [lifecycle, paid_support, ems_baseline]
#   maps:
#     cis: ["2.2"]
#     cpg1: ["1.E"]
#     cpg2: ["2.B"]
#     csf: ["PR.PS-02"]
#     belfer: ["9"]
#     nist: ["SA-22", "SI-2"]
#     vvsg: ["14.2-K"]
#   remedy: >-
#     Ask your IT support to move this computer to a supported version of Windows or Linux before the next election. If it is part of the voting system, call the vendor first, because changing it yourself can break its certification.
package muster.controls.upd_01

import data.muster.lib

# What the lists call this system: "windows 26200", "debian 12".
system := sprintf("windows %s", [os.build]) if {
	lib.windows
	some os in input.facts.os_version
}

system := sprintf("%s %s", [os.platform, regex.find_n(`^[0-9]+(\.[0-9]{2})?`, os.version, 1)[0]]) if {
	not lib.windows
	some os in input.facts.os_version
}

edition := concat("", [r.data | some r in input.facts.os_edition])

entries contains entry if {
	some entry in data.lists.lifecycle
	sprintf("%s %s", [entry.platform, object.get(entry, "build", object.get(entry, "version", ""))]) == system
	edition in object.get(entry, "editions", [edition])
}

paid if system in data.lists.paid_support

certified if {
	lib.ems
	some os in input.facts.os_version
	concat(".", [os.build, os.revision]) == data.lists.ems_baseline.build
}

ends(entry) := max({d | some d in [entry.end, object.get(entry, "lts_end", ""), extended(entry)]})

extended(entry) := object.get(entry, "extended_end", "2200-01-01") if paid

extended(_) := "" if not paid

last_day := max({ends(entry) | some entry in entries})

ended if lib.now_ns >= lib.day_ns(last_day) + lib.day

violations contains {"subject": os.name, "found": sprintf("support ended on %s", [last_day]), "want": "a system that still gets security updates"} if {
	some os in input.facts.os_version
	ended
	not certified
}

unknown contains trim_space(sprintf("list lifecycle does not know %s %s", [system, edition])) if count(entries) == 0

unknown contains trim_space(sprintf("list lifecycle has no end date for %s %s", [system, edition])) if {
	count(entries) > 0
	not last_day
}

unknown contains "the system did not say which version it is" if not system

notes contains sprintf("support ended on %s; accepted because it is the certified build %s", [last_day, data.lists.ems_baseline.build]) if {
	ended
	certified
}

notes contains sprintf("regular support ended on %s; long-term support lasts until %s", [entry.end, last_day]) if {
	some entry in entries
	not ended
	lib.now_ns >= lib.day_ns(entry.end) + lib.day
}

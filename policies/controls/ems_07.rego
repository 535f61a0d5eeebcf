# METADATA
# title: No cloud, mail, chat or browser programs on the EMS computer
# description: >-
#   Such programs try to reach the internet by themselves and copy files away.
# custom:
#   id: MVS-EMS-07
#   severity: high
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [software]
#   also: [processes, autostart, services, cloud_settings]
#   lists: [cloud_tools]
#   maps:
#     cis: ["2.3", "4.8"]
#     cpg1: ["2.Q"]
#     cpg2: ["3.P"]
#     csf: ["PR.PS-05"]
#     belfer: ["7"]
#     nist: ["CM-7"]
#     vvsg: ["14.2-A"]
#   remedy: >-
#     Ask the vendor to remove these programs. Keep office work on a different computer.
package muster.controls.ems_07

import data.muster.lib

found contains {"name": program, "where": "an installed program"} if {
	some program in lib.programs
	program in hits
	not kept_off(program)
}

found contains {"name": s.name, "where": "a service"} if {
	some s in input.facts.services
	{s.name, object.get(s, "display_name", "")} & hits != set()
	not kept_off(object.get(s, "display_name", ""))
}

found contains {"name": p.name, "where": sprintf("running: %s", [p.path])} if {
	some p in input.facts.processes
	{p.name, lib.basename(p.path)} & hits != set()
}

found contains {"name": a.name, "where": sprintf("starts by itself: %s", [a.path])} if {
	some a in input.facts.autostart
	{a.name, lib.basename(a.path)} & hits != set()
}

texts := array.flatten([
	lib.programs,
	[name | some s in input.facts.services; some name in [s.name, object.get(s, "display_name", "")]],
	[name | some p in input.facts.processes; some name in [p.name, lib.basename(p.path)]],
	[name | some a in input.facts.autostart; some name in [a.name, lib.basename(a.path)]],
])

hits := lib.matching(texts, data.lists.cloud_tools) - {""}

# OneDrive comes with Windows. A policy can keep it from working.
kept_off(program) if {
	regex.match(`^(microsoft )?onedrive\b`, lower(program))
	"1" in {s.data | some s in input.facts.cloud_settings; s.name == "disablefilesyncngsc"}
}

violations contains {"subject": f.name, "found": f.where, "want": "removed"} if {
	count(hits) > 0
	some f in found
}

violations contains {"subject": "Outlook", "found": sprintf("set up for a mailbox: %s", [s.data]), "want": "no mailbox"} if {
	some s in input.facts.cloud_settings
	s.name == "outlook"
}

unknown contains "the list cloud_tools names no program" if not lib.named(data.lists.cloud_tools)

unknown contains "no installed program was seen at all" if count(lib.programs) == 0

unknown contains "no running program was seen at all" if count(input.facts.processes) == 0

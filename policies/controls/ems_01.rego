# METADATA
# title: Only approved software is installed on the EMS computer
# description: >-
#   Extra programs void the certification and widen the attack surface.
# custom:
#   id: MVS-EMS-01
#   severity: critical
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [{any: [installed, installed_rpm]}]
#   also: [installed_services, hotfixes]
#   lists: [ems_baseline]
#   maps:
#     cis: ["2.5"]
#     cpg1: ["2.Q"]
#     cpg2: ["3.P"]
#     csf: ["PR.PS-05"]
#     belfer: ["9"]
#     nist: ["CM-7(5)", "CM-11"]
#     vvsg: ["14.3.2-C"]
#   remedy: >-
#     Compare the list with the vendor's approved software list and ask the vendor to remove what does not belong. Keep the signed record of the check.
package muster.controls.ems_01

import data.muster.lib

# What is here, and what the certified build has, by kind.
here["program"] := programs

programs contains p.program if some p in input.facts.installed

programs contains p.program if some p in input.facts.installed_rpm

here["service"] := {s.name | some s in input.facts.installed_services} if input.facts.installed_services

here["update"] := {h.hotfix_id | some h in input.facts.hotfixes} if input.facts.hotfixes

approved[kind] := {line(entry) | some entry in entries} if {
	some kind, name in {"program": "software", "service": "services", "update": "hotfixes"}
	entries := data.lists.ems_baseline[name]
	is_array(entries)
}

line(entry) := entry if is_string(entry)

line(entry) := concat(", ", [entry.name, entry.version, object.get(entry, "publisher", "")]) if is_object(entry)

# Services whose programs are part of Windows. Its shells run whatever they are told to.
part_of_windows contains s.name if {
	lib.windows
	some s in input.facts.installed_services
	files := {lower(s.path), lower(s.module_path)} - {""}
	count(files) > 0
	every file in files {
		regex.match(`^"?([a-z]:\\windows|%systemroot%|%windir%|\\systemroot)\\(system32|syswow64|servicing|microsoft\.net|systemapps)\\|^"?[a-z]:\\(programdata\\microsoft|program files)\\windows defender\\`, file)
		not regex.match(`\\(driverstore|spool|\.\.)\\|\\(cmd|powershell|rundll32|regsvr32|mshta|[cw]script|conhost)(\.exe)?\b`, file)
	}
}

violations contains {"subject": item, "found": sprintf("%s that is not in the certified build", [kind]), "want": "removed, or approved in the list ems_baseline"} if {
	some kind, items in here
	some item in (items - approved[kind])
	not item in part_of_windows
}

violations contains {"subject": item, "found": "missing", "want": sprintf("the %s of the certified build", [kind])} if {
	some kind, items in approved
	some item in (items - here[kind])
}

# What looks at the computer is software on it, too.
notes contains sprintf("%s: approved by %s", [line(entry), object.get(entry, "approval", "somebody whom the list ems_baseline does not name")]) if {
	some entry in data.lists.ems_baseline.software
	regex.match(`(?i)^(muster|osquery)\b`, entry.name)
	line(entry) in here.program
}

unknown contains sprintf("the list ems_baseline does not say which %ss the certified build has", [kind]) if {
	some kind, _ in here
	not approved[kind]
}

unknown contains "no installed program was seen at all" if count(here.program) == 0

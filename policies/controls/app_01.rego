# METADATA
# title: No unapproved remote-control program
# description: >-
#   Criminals talk staff into installing these tools, and then work as if they sat at the desk.
# custom:
#   id: MVS-APP-01
#   severity: critical
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [software, processes]
#   also: [services, scheduled_tasks]
#   lists: [remote_tools, remote_tools_allowed]
#   maps:
#     cis: ["2.3", "4.8"]
#     cpg1: ["2.Q"]
#     cpg2: ["3.P"]
#     csf: ["PR.PS-05"]
#     belfer: ["6"]
#     nist: ["CM-11", "AC-17"]
#     vvsg: ["14.2-E"]
#   remedy: >-
#     If you did not ask for this program, disconnect the network cable and call IT now. If support staff use it, have it written on the approved list.
package muster.controls.app_01

import data.muster.lib

# Portable copies show only as a process, by its name or by its file's.
found contains {"name": program, "where": "an installed program"} if {
	some program in lib.programs
	program in hits
}

found contains {"name": p.name, "where": p.path} if {
	some p in input.facts.processes
	{p.name, lib.basename(p.path)} & hits != set()
}

found contains {"name": s.name, "where": "a service"} if {
	some s in input.facts.services
	({s.name, object.get(s, "display_name", "")} | programs(s.path)) & hits != set()
}

found contains {"name": t.name, "where": t.action} if {
	some t in input.facts.scheduled_tasks
	({t.name} | programs(t.action)) & hits != set()
}

programs(action) := {lib.basename(p) | some p in regex.find_n(`[^\\/"]+\.(?i:exe|ps1|bat|cmd|vbs)`, action, -1)}

texts := array.flatten([
	lib.programs,
	[name | some p in input.facts.processes; some name in [p.name, lib.basename(p.path)]],
	[s.name | some s in input.facts.services],
	[s.display_name | some s in input.facts.services],
	[p | lib.windows; some s in input.facts.services; some p in programs(s.path)],
	[t.name | some t in input.facts.scheduled_tasks],
	[p | some t in input.facts.scheduled_tasks; some p in programs(t.action)],
])

tools := lib.matching(texts, data.lists.remote_tools)

# Nothing may reach into an election management system, whatever the list says.
hits := tools if lib.ems

hits := tools - lib.matching(tools, data.lists.remote_tools_allowed) if not lib.ems

violations contains {"subject": f.name, "found": f.where, "want": "removed, or approved in the list remote_tools_allowed"} if {
	count(hits) > 0
	some f in found
}

unknown contains "the list remote_tools names no program" if not lib.named(data.lists.remote_tools)

unknown contains "no installed program was seen at all" if count(lib.programs) == 0

unknown contains "no running program was seen at all" if count(input.facts.processes) == 0

# METADATA
# title: No restart is waiting
# description: >-
#   A downloaded fix does nothing until the computer restarts.
# custom:
#   id: MVS-UPD-04
#   severity: medium
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [reboot_pending, uptime]
#   maps:
#     cis: ["7.3"]
#     cpg1: ["1.E"]
#     cpg2: ["2.B"]
#     csf: ["PR.PS-02"]
#     belfer: ["7"]
#     nist: ["SI-2"]
#   remedy: >-
#     Save your work and restart this computer today. Plan restarts for the end of the day so that they never fall on an election deadline.
package muster.controls.upd_04

import data.muster.lib

limit := 30

violations contains {"subject": r.name, "found": "a restart is waiting", "want": "no restart waiting"} if {
	some r in input.facts.reboot_pending
	lower(r.name) != "pendingfilerenameoperations"
}

violations contains {"subject": "uptime", "found": sprintf("%d days", [days]), "want": sprintf("less than %d days", [limit])} if {
	some u in input.facts.uptime
	days := floor(lib.num(u.total_seconds) / 86400)
	days >= limit
}

unknown contains "the system did not say how long it has been running" if {
	count([u | some u in input.facts.uptime; lib.num(u.total_seconds)]) == 0
}

notes contains "files are waiting to be replaced at the next restart" if {
	some r in input.facts.reboot_pending
	lower(r.name) == "pendingfilerenameoperations"
}

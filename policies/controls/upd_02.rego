# METADATA
# title: Security updates were installed in the last 35 days
# description: >-
#   Most break-ins of county offices use flaws for which a fix already existed.
# custom:
#   id: MVS-UPD-02
#   severity: critical
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [{any: [os_version, update_history]}]
#   also: [pending_updates]
#   lists: [patch_floor]
#   maps:
#     cis: ["7.3"]
#     cpg1: ["1.E"]
#     cpg2: ["2.B"]
#     csf: ["PR.PS-02"]
#     belfer: ["7"]
#     nist: ["SI-2"]
#     vvsg: ["14.4-A"]
#   remedy: >-
#     Open Settings, choose Windows Update, and install everything that is offered. Restart the computer and run the check again.
#   remedies:
#     linux: >-
#       Open the program that updates this computer and install everything that is offered. Restart the computer and run the check again.
package muster.controls.upd_02

import data.muster.lib

limit := 35

# A time ahead of the clock says nothing.
recent(age) if {
	age > -1
	age <= limit
}

os := input.facts.os_version[0]

floor := data.lists.patch_floor[os.build]

floor_age := (lib.now_ns - lib.day_ns(floor.released)) / lib.day

behind if lib.num(os.revision) < to_number(floor.revision)

# Updates of this build that are still in place: of one that was taken back the
# system does not have the revision.
ages contains lib.days_since(h.date) if {
	lib.windows
	some h in input.facts.update_history
	some found in regex.find_all_string_submatch_n(`\(([0-9]+)\.([0-9]+)\)`, h.title, -1)
	found[1] == os.build
	to_number(found[2]) <= lib.num(os.revision)
}

ages contains lib.days_since(f.mtime) if {
	not lib.windows
	some f in input.facts.update_history
}

current if {
	some age in ages
	recent(age)
}

current if {
	lib.windows
	lib.num(os.revision) >= to_number(floor.revision)
	recent(floor_age)
}

violations contains {"subject": "security updates", "found": sprintf("the last ones are from %d days ago", [ceil(min(ages))]), "want": sprintf("at most %d days ago", [limit])} if {
	not current
	min(ages) > limit
}

violations contains {"subject": os.name, "found": sprintf("revision %s", [os.revision]), "want": sprintf("revision %v, which came out on %s", [floor.revision, substring(floor.released, 0, 10)])} if {
	lib.windows
	behind
	floor_age > limit
}

violations contains {"subject": p.name, "found": sprintf("version %s", [p.installed]), "want": sprintf("the security update %s", [p.candidate])} if {
	not lib.windows
	some p in input.facts.pending_updates
}

unknown contains "nothing tells when security updates were last installed" if {
	not current
	count(violations) == 0
}

notes contains sprintf("revision %v came out on %s and is not here yet", [floor.revision, substring(floor.released, 0, 10)]) if {
	lib.windows
	behind
	floor_age <= limit
}

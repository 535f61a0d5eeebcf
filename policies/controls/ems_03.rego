# METADATA
# title: The EMS computer refuses programs that are not on its list
# description: >-
#   Application control stops a stray USB program even when someone opens it.
# custom:
#   id: MVS-EMS-03
#   severity: high
#   profiles: [ems]
#   platforms: [windows]
#   facts: [{any: [app_control, code_integrity]}]
#   lists: [ems_baseline]
#   maps:
#     cis: ["2.5"]
#     cpg1: ["2.Q"]
#     cpg2: ["3.P"]
#     csf: ["PR.PS-05"]
#     belfer: ["9"]
#     nist: ["CM-7(5)"]
#     vvsg: ["14.3.2-C"]
#   remedy: >-
#     Ask the vendor whether application control is part of the certified setup and to switch it on. Do not add your own rules without them.
package muster.controls.ems_03

import data.muster.lib

# What AppLocker does with each kind of file: exe, dll, msi, script.
mode[kind] := r.data if {
	some r in input.facts.app_control
	kind := lower(lib.basename(r.name))
}

applocker if {
	mode.exe == "1"
	mode.dll == "1"
	mode.appidsvc == "RUNNING"
}

code_integrity if {
	some c in input.facts.code_integrity
	c.status == "ENFORCED_MODE"
}

enforced if applocker

enforced if code_integrity

shown(kind) := object.get({"1": "enforced", "0": "only recorded"}, mode[kind], mode[kind])

shown(kind) := "not set" if not mode[kind]

violations contains {
	"subject": "AppLocker",
	"found": sprintf("programs: %s, libraries: %s, service: %s", [shown("exe"), shown("dll"), shown("appidsvc")]),
	"want": "both enforced and the service running, or an enforced code integrity policy",
} if {
	not enforced
	count(unknown) == 0
}

notes contains sprintf("AppLocker does not enforce its rules for %s files: %s", [kind, shown(kind)]) if {
	applocker
	not code_integrity
	some kind in ["msi", "script"]
	shown(kind) != "enforced"
}

unknown contains "what AppLocker does could not be read" if {
	not enforced
	not input.facts.app_control
}

unknown contains sprintf("AppLocker has a setting for %s that says nothing", [kind]) if {
	not enforced
	some kind in ["exe", "dll"]
	not mode[kind] in {"0", "1"}
}

unknown contains "Windows does not say whether it enforces a code integrity policy" if {
	not enforced
	not "OFF" in {c.status | some c in input.facts.code_integrity}
	not "AUDIT_MODE" in {c.status | some c in input.facts.code_integrity}
}

inapplicable contains "the certified build has no application control" if data.lists.ems_baseline.app_control == false

# METADATA
# title: Windows asks before a program makes big changes
# description: >-
#   Without this question, hidden installers run silently.
# custom:
#   id: MVS-ACC-09
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows]
#   facts: [uac]
#   maps:
#     cis: ["4.1"]
#     cpg1: ["2.E"]
#     cpg2: ["3.H"]
#     csf: ["PR.AA-05"]
#     belfer: ["6"]
#     nist: ["AC-6", "CM-6"]
#     vvsg: ["11.4-A"]
#   remedy: >-
#     Open Change User Account Control settings and move the slider to the second level from the top or higher. Restart the computer.
package muster.controls.acc_09

import data.muster.lib

values(name) := lib.values(input.facts.uac, name)

violations contains {"subject": "EnableLUA", "found": v, "want": "1"} if {
	some v in values("enablelua")
	v != "1"
}

violations contains {"subject": "ConsentPromptBehaviorAdmin", "found": v, "want": "not 0"} if {
	some v in values("consentpromptbehavioradmin")
	v == "0"
}

# Absent means 1.
violations contains {"subject": "PromptOnSecureDesktop", "found": v, "want": "1"} if {
	some v in values("promptonsecuredesktop")
	v != "1"
}

unknown contains sprintf("the registry does not say %s", [name]) if {
	some name in ["EnableLUA", "ConsentPromptBehaviorAdmin"]
	count([v | some v in values(lower(name)); lib.dword(v) >= 0]) == 0
}

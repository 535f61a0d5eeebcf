# METADATA
# title: The computer does not sign in by itself
# description: >-
#   With automatic sign-in, anyone who can touch the power button is inside.
# custom:
#   id: MVS-ACC-06
#   severity: critical
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [autologon]
#   maps:
#     cis: ["4.7"]
#     cpg1: ["2.C"]
#     cpg2: ["3.C"]
#     csf: ["PR.AA-03"]
#     belfer: ["5"]
#     nist: ["IA-2"]
#     vvsg: ["11.2.1-A"]
#   remedy: >-
#     Ask IT to remove automatic sign-in and the saved password. Everyone should type a password at start-up.
package muster.controls.acc_06

import data.muster.lib

violations contains {"subject": r.name, "found": r.data, "want": "absent or 0"} if {
	lib.windows
	some r in input.facts.autologon
	lower(r.name) in {"autoadminlogon", "forceautologon"}
	not r.data in {"0", ""}
}

violations contains {"subject": r.name, "found": "a saved password", "want": "none"} if {
	lib.windows
	some r in input.facts.autologon
	lower(r.name) == "defaultpassword"
}

violations contains {"subject": a.manager, "found": sprintf("%s=%s in %s", [a.key, a.value, a.source]), "want": "no automatic sign-in"} if {
	not lib.windows
	some a in input.facts.autologon
	a.enabled == "1"
}

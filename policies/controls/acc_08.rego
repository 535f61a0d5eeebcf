# METADATA
# title: Each computer has its own rotating administrator password
# description: >-
#   One shared administrator password lets a thief walk from desk to desk.
# custom:
#   id: MVS-ACC-08
#   severity: medium
#   profiles: [workstation]
#   platforms: [windows]
#   facts: [laps, domain, domain_registry]
#   maps:
#     cis: ["5.2"]
#     cpg1: ["2.C"]
#     cpg2: ["3.C"]
#     csf: ["PR.AA-01"]
#     belfer: ["5"]
#     nist: ["IA-5"]
#   remedy: >-
#     Ask county IT to switch on Windows LAPS, which is free and built in. It gives every computer a different administrator password and changes it by itself.
package muster.controls.acc_08

import data.muster.lib

inapplicable contains "in no domain and not in Microsoft Entra ID, which keep these passwords" if count(lib.domains) == 0

# The first of these keys that says anything decides alone, also by what it leaves out.
roots := [
	`\software\microsoft\policies\laps`,
	`\software\microsoft\windows\currentversion\policies\laps`,
	`\software\microsoft\windows\currentversion\laps\config`,
	`\software\policies\microsoft services\admpwd`,
]

active := [rows |
	some root in roots
	rows := {lower(r.name): r.data | some r in input.facts.laps; endswith(lower(r.key), root)}
	count(rows) > 0
][0]

# 0 keeps it nowhere, 1 in Microsoft Entra ID, 2 in the domain; AdmPwd is the older kind.
kept := object.get(active, "backupdirectory", object.get(active, "admpwdenabled", "0"))

violations contains {"subject": "administrator password", "found": "LAPS is not set up", "want": "kept by LAPS in the domain or in Microsoft Entra ID"} if {
	not active
}

violations contains {"subject": "administrator password", "found": "LAPS is off", "want": "kept by LAPS in the domain or in Microsoft Entra ID"} if {
	kept == "0"
}

unknown contains "where LAPS keeps the password cannot be read" if not kept in {"0", "1", "2"}

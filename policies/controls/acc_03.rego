# METADATA
# title: The guest account is off
# description: >-
#   A guest login leaves no name in the records.
# custom:
#   id: MVS-ACC-03
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [{any: [accounts, security_profile]}, guest_session]
#   maps:
#     cis: ["4.7"]
#     cpg1: ["2.C"]
#     cpg2: ["3.C"]
#     csf: ["PR.AA-01"]
#     belfer: ["6"]
#     nist: ["AC-2", "IA-2"]
#     vvsg: ["11.2.1-A"]
#   remedy: >-
#     Ask IT to disable the account named Guest. Every person who uses this computer should have a personal account.
package muster.controls.acc_03

import data.muster.lib

violations contains {"subject": a.username, "found": "this guest account is on", "want": "off"} if {
	lib.windows
	some a in input.facts.accounts
	endswith(a.sid, "-501")
	a.enabled == "1"
}

violations contains {"subject": "Guest", "found": "on, says the security policy", "want": "off"} if {
	"1" in said
}

said := {p.enable_guest_account | some p in input.facts.security_profile}

# The account may be renamed, and is never away.
off if "0" in said

off if "0" in {a.enabled | some a in input.facts.accounts; endswith(a.sid, "-501")}

unknown contains "no guest account was seen, neither on nor off" if {
	lib.windows
	not off
}

violations contains {"subject": a.username, "found": "somebody can sign in with it", "want": "no guest account"} if {
	not lib.windows
	some a in input.facts.accounts
	regex.match(`^guest(-|$)`, a.username)
	a.login_shell != "0"
}

settings := {s.value | some s in input.facts.guest_session; s.key == "allow-guest"}

# LightDM lets guests in unless a file tells it not to.
violations contains {"subject": "LightDM", "found": "lets guests in", "want": "allow-guest=false"} if {
	"program" in {s.key | some s in input.facts.guest_session}
	settings != {"false"}
}

unknown contains "no account was seen at all" if count(input.facts.accounts) == 0

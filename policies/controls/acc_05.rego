# METADATA
# title: Accounts lock after repeated wrong passwords
# description: >-
#   It stops machines that try thousands of passwords.
# custom:
#   id: MVS-ACC-05
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [security_profile, password_rules]
#   maps:
#     cis: ["4.10"]
#     cpg1: ["2.G"]
#     cpg2: ["3.E"]
#     csf: ["PR.AA-03"]
#     belfer: ["5"]
#     nist: ["AC-7"]
#     vvsg: ["11.5-C"]
#   remedy: >-
#     Set the account lockout threshold to ten wrong tries or fewer with a fifteen minute wait. Make sure one spare administrator account is kept for emergencies.
package muster.controls.acc_05

import data.muster.lib

# How many wrong passwords lock an account, by what counts them; 0 is never.
tries["the lockout policy"] := lib.num(p.lockout_bad_count) if some p in input.facts.security_profile

tries[source] := max(array.concat([0], [n | counts(lines); some line in lines; n := deny(line)])) if {
	not lib.windows
	some source, lines in lib.pam("auth")
	lib.num(faillock)
}

# Before the password faillock only looks at what it counted after wrong ones.
counts(lines) if {
	some line in lines
	regex.match(`pam_faillock\.so.*\bauthfail\b|pam_tally2\.so`, line)
}

faillock := lib.rule("faillock", "deny", "3")

deny(line) := lib.argument(line, "deny", faillock) if contains(line, "pam_faillock.so")

deny(line) := lib.argument(line, "deny", "0") if contains(line, "pam_tally2.so")

violations contains {"subject": where, "found": sprintf("locks after %d wrong tries", [n]), "want": "after 10 at most"} if {
	some where, n in tries
	n > 10
}

violations contains {"subject": where, "found": "never locks an account", "want": "locks after 10 wrong tries at most"} if {
	some where, n in tries
	n < 1
}

unknown contains "the lockout policy cannot be read" if {
	lib.windows
	count(tries) == 0
}

unknown contains "what PAM does after wrong passwords cannot be read" if {
	not lib.windows
	count(tries) == 0
}

notes contains sprintf("%s locks after %d wrong tries; five are better", [where, n]) if {
	some where, n in tries
	n > 5
	n <= 10
}

# Shorter than 15 minutes. 0 is until somebody unlocks it.
notes contains sprintf("an account is locked for %d seconds; 900 are better", [n]) if {
	not lib.windows
	max({tried | some tried in tries}) > 0
	n := lib.num(lib.rule("faillock", "unlock_time", "600"))
	n > 0
	n < 900
}

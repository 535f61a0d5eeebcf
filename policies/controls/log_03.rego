# METADATA
# title: No burst of failed sign-ins
# description: >-
#   Many wrong passwords in a row may mean someone is guessing.
# custom:
#   id: MVS-LOG-03
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [failed_logons, {any: [failed_logons, logons, audit_subcategories, audit_policy, audit_daemon, journal]}]
#   maps:
#     cis: ["8.11"]
#     cpg1: ["2.G"]
#     cpg2: ["3.E"]
#     csf: ["DE.CM-03"]
#     belfer: ["8"]
#     nist: ["AU-6", "AC-7"]
#     vvsg: ["15.1-D"]
#   remedy: >-
#     Ask the person named whether they mistyped their password. If not, call IT and change that password from another computer.
package muster.controls.log_03

import data.muster.lib

# Each failed sign-in of the last day, oldest first.
attempts[lib.folded(f.username)] contains [at, i, f.host] if {
	some i, f in input.facts.failed_logons
	f.kind == "failed"
	at := lib.num(f.at)
	recent(at)
}

recent(at) if at * 1000000000 > lib.now_ns - lib.day

total := sum([count(tries) | some tries in attempts])

# Five within two minutes, as the time when they began.
bursts[user] := min(began) if {
	some user, tries in attempts
	times := [try[0] | some try in tries]
	began := {at | some i, at in times; times[i + 4] - at <= 120}
}

subject(user) := user if user != ""

subject(user) := "names that are no account here" if user == ""

violations contains {"subject": subject(user), "found": sprintf("%d failed sign-ins, 5 or more of them within 2 minutes", [count(attempts[user])]), "want": "fewer than 5"} if some user, _ in bursts

violations contains {"subject": "all accounts", "found": sprintf("%d or more failed sign-ins within 24 hours", [total]), "want": "fewer than 50"} if total >= 50

# The guess may have been right.
violations contains {"subject": subject(user), "found": sprintf("signed in from %s after the failures: urgent", [s.host]), "want": "the person says that it was them"} if {
	some s in input.facts.logons
	user := lib.folded(s.username)
	lib.num(s.at) >= bursts[user]
	s.host in {try[2] | some try in attempts[user]}
}

unknown contains "the log of sign-ins was cleared in the last day" if {
	some f in input.facts.failed_logons
	f.kind == "cleared"
}

unknown contains "the time of a failed sign-in cannot be read" if {
	some f in input.facts.failed_logons
	not lib.num(f.at)
}

unknown contains "the computer may not record failed sign-ins: see MVS-LOG-01" if count(lib.audit_gaps) + count(lib.audit_unknown) > 0

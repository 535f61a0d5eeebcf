# METADATA
# title: Only known people can sign in to the EMS computer
# description: >-
#   Every action on the system must lead to one named person.
# custom:
#   id: MVS-EMS-05
#   severity: critical
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [{any: [accounts, profiles]}, {any: [admin_members, admins]}]
#   also: [signed_in, sign_ins]
#   lists: [ems_accounts, ems_admins, ems_baseline]
#   maps:
#     cis: ["5.1"]
#     cpg1: ["2.C"]
#     cpg2: ["3.C"]
#     csf: ["PR.AA-01"]
#     belfer: ["6"]
#     nist: ["AC-2", "IA-2"]
#     vvsg: ["11.2.1-B"]
#   remedy: >-
#     Remove accounts of people who left and give each person a personal account. Write down who may use the vendor's service account and when.
package muster.controls.ems_05

import data.muster.lib

since := lib.date(data.lists.ems_baseline.date)

people := {lib.folded(name) | some name in data.lists.ems_accounts}

want_listed := "on the list ems_accounts, or without an account"

# Guest and the accounts that Windows keeps for itself are nobody's.
reserved(a) if regex.match(`-(501|503|504)$`, a.sid)

accounts := [a | some a in input.facts.accounts; not reserved(a)]

profiles := [p | some p in input.facts.profiles; not reserved(p)]

# Whether an account is on: Windows says so, on Linux its password does.
state(a) := {"1": "on", "0": "off"}[a.enabled]

state(a) := {"active": "on", "empty": "on", "locked": "off", "not_set": "off"}[a.password_status]

violations contains {"subject": a.username, "found": "an account that is switched on", "want": want_listed} if {
	some a in accounts
	state(a) == "on"
	not lib.folded(a.username) in people
}

violations contains {"subject": a.username, "found": sprintf("signed in on %s", [day(a)]), "want": want_listed} if {
	some a in accounts
	day(a) > since
	not lib.folded(a.username) in people
}

day(a) := time.format([lib.num(a.last_logon) * 1000000000, "UTC", "2006-01-02"]) if lib.num(a.last_logon) > 0

violations contains {"subject": p.username, "found": "an account from elsewhere that has signed in here", "want": want_listed} if {
	some p in profiles
	p.type == "roaming"
	not lib.folded(p.username) in people
}

violations contains {"subject": name, "found": "has signed in", "want": want_listed} if {
	some name in came
	not lib.folded(name) in people
}

came contains s.username if some s in input.facts.signed_in

came contains s.username if some s in input.facts.sign_ins

violations contains {"subject": name, "found": "missing or switched off", "want": "an account that is switched on, or off the list ems_accounts"} if {
	some name in data.lists.ems_accounts
	not lib.folded(name) in there
}

there contains lib.folded(a.username) if {
	some a in accounts
	not off(a)
}

off(a) if state(a) == "off"

# Without the flags of accounts every account may be on.
there contains lib.folded(p.username) if {
	not input.facts.accounts
	some p in profiles
}

# Every other account is a violation already.
violations contains {"subject": name, "found": "a name that stands for nobody", "want": "a personal account"} if {
	some name in data.lists.ems_accounts
	lower(name) in {"admin", "user", "users", "guest", "test", "temp", "shared", "office", "clerk", "operator", "election", "elections", "vote", "voting", "ems"}
}

admins contains m.username if {
	some m in lib.administrators
	m.username != ""
}

# Left behind by somebody whose name cannot be found.
admins contains m.sid if {
	some m in lib.administrators
	m.username == ""
}

violations contains {"subject": name, "found": "has administrator rights", "want": "on the list ems_admins, or without these rights"} if {
	some name in admins
	not lib.folded(name) in {lib.folded(listed) | some listed in data.lists.ems_admins}
	not root(name)
}

# Linux cannot do without this one.
root("root") if not lib.windows

violations contains {"subject": name, "found": "has no administrator rights", "want": "these rights, or off the list ems_admins"} if {
	some name in data.lists.ems_admins
	not lib.folded(name) in {lib.folded(seen) | some seen in admins}
}

unknown contains sprintf("cannot see whether the account %s, which is not on the list ems_accounts, is switched on", [p.username]) if {
	not input.facts.accounts
	some p in profiles
	not lib.folded(p.username) in people
}

unknown contains sprintf("cannot see whether the account %s is switched on", [a.username]) if {
	some a in accounts
	not state(a)
}

unknown contains sprintf("%s signed in on %s, and the list ems_baseline does not say since when that counts", [a.username, day(a)]) if {
	some a in accounts
	not since
	not lib.folded(a.username) in people
}

unknown contains "no account was seen at all" if count(accounts) + count(profiles) == 0

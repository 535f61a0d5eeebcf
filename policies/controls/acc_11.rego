# METADATA
# title: Unused accounts are switched off
# description: >-
#   Seasonal election workers leave accounts behind.
# custom:
#   id: MVS-ACC-11
#   severity: medium
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [accounts]
#   lists: [accounts_known]
#   maps:
#     cis: ["5.3"]
#     cpg1: ["2.D"]
#     cpg2: ["3.D"]
#     csf: ["PR.AA-01"]
#     belfer: ["6"]
#     nist: ["AC-2(3)"]
#     vvsg: ["11.2.1-B"]
#   remedy: >-
#     Disable the accounts of people who no longer work here on their last day. Keep a short list of seasonal workers and clear it after each election.
package muster.controls.acc_11

import data.muster.lib

# Guest and the accounts that Windows keeps for itself are another control's.
accounts contains a if {
	some a in input.facts.accounts
	not regex.match(`-(501|503|504)$`, object.get(a, "sid", ""))
}

open contains a if {
	some a in accounts
	a.enabled == "1"
}

# On Linux those that a password opens and whose last day has not come.
open contains a if {
	some a in accounts
	a.password_status == "active"
	not expired(a)
}

expired(a) if {
	lib.num(a.expire) > 0
	lib.num(a.expire) * lib.day <= lib.now_ns
}

known := {lib.folded(name) | some name in data.lists.accounts_known}

violations contains {"subject": a.username, "found": "is on, and nobody listed it", "want": "on the list accounts_known, or switched off"} if {
	some a in open
	not lib.folded(a.username) in known
}

violations contains {"subject": a.username, "found": "opens without a password", "want": "a password, or switched off"} if {
	some a in accounts
	a.password_status == "empty"
}

legible(a) if a.enabled in {"0", "1"}

legible(a) if a.password_status in {"active", "locked", "not_set", "empty"}

unknown contains sprintf("whether %s is on cannot be read", [a.username]) if {
	some a in accounts
	not legible(a)
}

unknown contains "no account was seen at all" if count(accounts) == 0

notes contains sprintf("%s has not signed in for more than 45 days", [a.username]) if {
	some a in open
	lib.days_since(a.last_logon) > 45
}

# METADATA
# title: Few people have administrator rights
# description: >-
#   With administrator rights, one wrong click changes the whole computer.
# custom:
#   id: MVS-ACC-02
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [{any: [admin_members, admins]}, {any: [admin_members, domain]}, {any: [admin_members, domain_registry]}]
#   also: [sudo_rules]
#   lists: [admins_allowed]
#   maps:
#     cis: ["5.4"]
#     cpg1: ["2.E"]
#     cpg2: ["3.G"]
#     csf: ["PR.AA-05"]
#     belfer: ["6"]
#     nist: ["AC-6"]
#     vvsg: ["11.4-A"]
#   remedy: >-
#     Ask IT to take administrator rights away from everyone who does not need them. Give helpers a separate administrator account for that work only.
package muster.controls.acc_02

import data.muster.lib

limit := 3

admins contains m.username if {
	lib.windows
	some m in lib.administrators
	m.username != ""
}

admins contains m.username if {
	not lib.windows
	some m in lib.administrators
	m.username != "root"
}

admins contains user if {
	not lib.windows
	some r in rules
	some user in users(r)
	not regex.match(`^([%!]|root$)`, user)
}

# Rules that give everything to someone: after the first =, and beside the users
# in brackets, one of the commands is ALL or an alias that holds ALL.
rules contains r if {
	some r in input.facts.sudo_rules
	not regex.match(`^(Defaults|(User|Runas|Host|Cmnd|Cmd)_Alias|[#@]include)`, r.header)
	some word in commands(r)
	word in everything
}

everything contains "ALL"

everything contains alias if {
	some r in input.facts.sudo_rules
	r.header in {"Cmnd_Alias", "Cmd_Alias"}
	"ALL" in commands(r)
	some alias in regex.find_n(`[A-Z][A-Z0-9_]*`, r.rule_details, -1)
}

# The users of a rule: "alice, bob ALL=(ALL) ALL" has two.
users(r) := {trim(user, `"`) |
	rule := regex.replace(trim_space(concat(" ", [r.header, r.rule_details])), `\s*,\s*`, ",")
	some user in split(regex.split(`\s+`, rule)[0], ",")
}

# The words of a rule that stand for commands, with their tags. A # in brackets is
# a user's number and no comment.
commands(r) := {word |
	rule := regex.replace(r.rule_details, `\([^)]*\)`, " ")
	some i, part in split(split(rule, "#")[0], "=")
	i > 0
	some word in regex.split(`[\s,:]+`, part)
}

allowed := {lib.folded(name) | some name in data.lists.admins_allowed}

violations contains {"subject": name, "found": "has administrator rights", "want": "on the list admins_allowed, or without these rights"} if {
	some name in admins
	not lib.folded(name) in allowed
}

violations contains {"subject": a.username, "found": "user id 0", "want": "only root has user id 0"} if {
	not lib.windows
	some a in input.facts.admins
	a.uid == "0"
	a.username != "root"
}

violations contains {"subject": "administrators", "found": sprintf("%d accounts", [count(admins)]), "want": sprintf("at most %d", [limit])} if {
	count(admins) > limit
}

# osquery lists no members of a domain.
unknown contains sprintf("joined to %s, whose administrators cannot be listed here", [concat(", ", lib.domains)]) if {
	not input.facts.admin_members
	count(lib.domains) > 0
}

unknown contains sprintf("sudo gives all rights to %s, whose members were not listed", [user]) if {
	not lib.windows
	some r in rules
	some user in users(r)
	startswith(user, "%")
	not user in {"%sudo", "%wheel", "%admin"}
}

# Left behind by an account that is gone, or its domain is out of reach.
unknown contains sprintf("the administrator %s has no name that can be found here", [m.sid]) if {
	some m in lib.administrators
	m.username == ""
}

unknown contains "no administrator was seen at all" if count(lib.administrators) == 0

notes contains sprintf("%s is a group: only its domain tells who is in it", [m.username]) if {
	some m in lib.administrators
	m.type == "group"
}

notes contains sprintf("%s may become root without a password (%s)", [r.header, r.source]) if {
	not lib.windows
	some r in rules
	contains(r.rule_details, "NOPASSWD")
}

# METADATA
# title: Daily work is done without administrator rights
# description: >-
#   Malware gets the rights of the person who opened it.
# custom:
#   id: MVS-ACC-07
#   severity: high
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [logged_in, {any: [admin_members, admins]}, root_desktops]
#   maps:
#     cis: ["5.4"]
#     cpg1: ["2.E"]
#     cpg2: ["3.G"]
#     csf: ["PR.AA-05"]
#     belfer: ["6"]
#     nist: ["AC-6(2)"]
#     vvsg: ["11.4-A"]
#   remedy: >-
#     Create a standard account for daily work and use the administrator account only to install things. IT can convert the existing account in a few minutes.
#   remedies:
#     linux: >-
#       Create a standard account for daily work and never sign in to the desktop as root. Ask IT to use sudo where administrator rights are needed.
package muster.controls.acc_07

import data.muster.lib

# Windows knows groups that stand for everybody who signs in.
admin(user) if {
	some m in lib.administrators
	m.sid == user.sid
}

admin(_) if "well_known_group" in {m.type | some m in lib.administrators}

# Somebody of a domain may be in a group of it, whose members nobody lists here.
hidden contains user.user if {
	some user in input.facts.logged_in
	user.type != "local"
	not input.facts.admin_members
}

hidden contains user.user if {
	some user in input.facts.logged_in
	user.type != "local"
	some m in lib.administrators
	m.type != "user"
}

hidden contains user.user if {
	some user in input.facts.logged_in
	user.sid == ""
}

violations contains {"subject": user.user, "found": "works with administrator rights", "want": "a standard account"} if {
	lib.windows
	some user in input.facts.logged_in
	admin(user)
}

violations contains {"subject": "root", "found": sprintf("has a desktop open (%s)", [r.name]), "want": "no desktop of root"} if {
	some r in input.facts.root_desktops
	r.pid != "1"
}

violations contains {"subject": "root", "found": sprintf("signed in at the screen %s", [user.tty]), "want": "no desktop of root"} if {
	some user in input.facts.logged_in
	user.user == "root"
	startswith(user.tty, ":")
}

unknown contains sprintf("whether %s has administrator rights only the domain can tell", [name]) if {
	lib.windows
	some name in hidden
}

unknown contains "nobody is signed in: ask again while somebody works here" if count(input.facts.logged_in) == 0

unknown contains "the programs of root cannot be seen" if count(input.facts.root_desktops) == 0

unknown contains "no administrator was seen at all" if count(lib.administrators) == 0

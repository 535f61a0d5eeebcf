# METADATA
# title: SSH logins are off or hardened
# description: >-
#   Password guessing against SSH never stops on networks that face the internet.
# custom:
#   id: MVS-NET-04
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [linux, windows]
#   facts: [sshd, listening, processes, ssh_enabled]
#   lists: [attestations]
#   maps:
#     cis: ["4.6", "4.8"]
#     cpg1: ["2.W"]
#     cpg2: ["3.S"]
#     csf: ["PR.AA-03"]
#     belfer: ["5"]
#     nist: ["AC-17", "IA-2"]
#     vvsg: ["14.2-E"]
#   remedy: >-
#     If nobody signs in to this computer remotely, ask IT to remove the SSH server. If it is needed, ask for keys instead of passwords.
package muster.controls.net_04

import data.muster.lib

running := {p.name | some p in input.facts.processes}

ports := {l.port | some l in input.facts.listening; l.protocol == "6"}

says(key) := {s.value | some s in input.facts.sshd; s.key == key}

installed if count(input.facts.sshd) > 0

# Another SSH server, or one that is told what to do in a place of its own.
other if "dropbear" in running

other if {
	not installed
	{"sshd", "sshd.exe"} & running != set()
}

other if {
	not installed
	"22" in ports
}

inapplicable contains "there is no SSH server" if {
	count(input.facts.sshd) == 0
	count(running) > 0
	not other
}

unknown contains "an SSH server is there whose settings cannot be read" if other

unknown contains "no running program was seen" if count(running) == 0

# Windows shows whether its server may start, and not what it is told to do.
unknown contains sprintf("the SSH server is there (%s), and its settings cannot be read on Windows", [state]) if {
	lib.windows
	some state in says("sshd")
	not state in {"STOPPED DISABLED", "STOPPED DEMAND_START"}
}

# Linux: a server that runs, that starts with the computer, or whose port is open.
active if {
	installed
	"sshd" in running
}

active if {
	installed
	count(input.facts.ssh_enabled) > 0
}

active if says("port") & ports != set()

notes contains "an SSH server is installed, but not active" if {
	installed
	not active
}

# Somebody attested that a second factor is asked for, which a host cannot show.
second_factor if data.lists.attestations.ssh_mfa_on

notes contains sprintf("a second factor for SSH was attested on %s", [data.lists.attestations.ssh_mfa_on]) if {
	not lib.windows
	active
}

good := {
	"permitrootlogin": {"no", "prohibit-password", "forced-commands-only"},
	"permitemptypasswords": {"no"},
	"passwordauthentication": {"no"},
}

excused contains "passwordauthentication" if second_factor

violations contains {"subject": key, "found": "yes", "want": concat(" or ", sort(values))} if {
	not lib.windows
	active
	some key, values in good
	not key in excused
	says(key) == {"yes"}
}

# With PAM behind it this asks for passwords too.
violations contains {"subject": "kbdinteractiveauthentication", "found": "yes, with UsePAM", "want": "no"} if {
	not lib.windows
	active
	not second_factor
	says("kbdinteractiveauthentication") == {"yes"}
	says("usepam") == {"yes"}
}

tries := {lib.num(n) | some n in says("maxauthtries")}

violations contains {"subject": "maxauthtries", "found": sprintf("%d", [n]), "want": "at most 4"} if {
	not lib.windows
	active
	some n in tries
	n > 4
}

unknown contains "how often somebody may guess a password (maxauthtries) cannot be read" if {
	not lib.windows
	active
	count(tries) == 0
}

unknown contains sprintf("%s says %v", [key, says(key)]) if {
	not lib.windows
	active
	some key, values in object.union(good, {"kbdinteractiveauthentication": {"no"}, "usepam": {"no"}})
	not says(key) in {{value} | some value in (values | {"yes"})}
}

unknown contains sprintf("other settings hold for some (Match %s)", [match]) if {
	not lib.windows
	active
	some match in says("match")
}

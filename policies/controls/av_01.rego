# METADATA
# title: Antivirus is running
# description: >-
#   It stops the everyday malware that arrives by e-mail and USB sticks.
# custom:
#   id: MVS-AV-01
#   severity: critical
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [{any: [antivirus, security_center, defender, antivirus_services]}]
#   lists: [ems_baseline]
#   maps:
#     cis: ["10.1"]
#     cpg1: ["3.A"]
#     cpg2: ["4.A"]
#     csf: ["DE.CM-09"]
#     belfer: ["8"]
#     nist: ["SI-3"]
#     vvsg: ["15.3-A"]
#   remedy: >-
#     Open Windows Security, choose Virus and threat protection, and switch real-time protection on. If another antivirus is installed and expired, renew or remove it.
#   remedies:
#     linux: >-
#       Ask IT to install an antivirus program that runs all the time, and to have it start with the computer. Do not install one on an election management computer without the vendor.
package muster.controls.av_01

import data.muster.lib

# What the Security Center thinks of the computer. Other words than these say nothing.
health contains s.antivirus if {
	some s in input.facts.security_center
	s.antivirus in {"Good", "Poor", "Not Monitored", "Snoozed"}
}

real_time contains d.real_time if some d in input.facts.defender

# Windows Defender is off, whatever the Security Center remembers of it.
asleep(p) if {
	p.defender == "1"
	"0" in real_time
}

# Old signatures make the Security Center call an antivirus that runs Poor; on an
# election management system that is allowed.
healthy if lib.ems

healthy if not lib.windows

healthy if "Good" in health

protecting contains p.name if {
	some p in input.facts.antivirus
	p.state == "On"
	not asleep(p)
	healthy
}

protecting contains "Microsoft Defender" if "1" in real_time

protecting contains s.name if {
	count(health) == 0
	not input.facts.antivirus[0]
	some s in input.facts.antivirus_services
	s.status == "RUNNING"
}

unclear contains p.name if {
	some p in input.facts.antivirus
	not p.state in {"On", "Off", "Snoozed", "Expired", "first process", "Run by a user"}
}

unprotected if {
	count(protecting) == 0
	count(unclear) == 0
}

violations contains {"subject": p.name, "found": lower(p.state), "want": "on"} if {
	unprotected
	some p in input.facts.antivirus
	p.state in {"Off", "Snoozed", "Expired"}
}

# Anyone can give a program of his own this name.
violations contains {"subject": p.name, "found": "an ordinary user runs a program of this name", "want": "run by the system"} if {
	unprotected
	some p in input.facts.antivirus
	p.state == "Run by a user"
}

violations contains {"subject": "Microsoft Defender", "found": "real-time protection is off", "want": "on"} if {
	unprotected
	"0" in real_time
}

violations contains {"subject": "Windows Security", "found": sprintf("virus protection: %s", [lower(word)]), "want": "good"} if {
	unprotected
	some word in (health - {"Good"})
}

violations contains {"subject": "antivirus", "found": "no program that is known as one runs", "want": "one that runs"} if {
	not lib.windows
	unprotected
	count(input.facts.antivirus) > 0
}

unknown contains sprintf("%s does not say whether it is on", [name]) if {
	count(protecting) == 0
	some name in unclear
}

unknown contains "nothing that can be asked says whether an antivirus is on" if {
	unprotected
}

inapplicable contains "the certified build has no antivirus" if {
	lib.ems
	data.lists.ems_baseline.antivirus == false
}

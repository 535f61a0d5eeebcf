# METADATA
# title: Remote Desktop is off, or strongly protected
# description: >-
#   Open Remote Desktop is one of the most used ways to plant ransomware in local government.
# custom:
#   id: MVS-NET-03
#   severity: critical
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [rdp, listening, processes, {any: [listening, firewall_profiles, firewall_rules]}]
#   lists: [rdp_allowed]
#   maps:
#     cis: ["4.8", "13.5"]
#     cpg1: ["2.W"]
#     cpg2: ["3.S"]
#     csf: ["PR.IR-01"]
#     belfer: ["6"]
#     nist: ["AC-17"]
#     vvsg: ["14.2-E"]
#   remedy: >-
#     Open Settings, System, Remote Desktop and switch it off. If someone needs it for support, let IT set it up behind a VPN with a second login factor.
#   remedies:
#     linux: >-
#       Open Settings, System, Remote Desktop and switch it off, or ask IT to remove the program shown. If someone needs it for support, let IT set it up behind a VPN with a second login factor.
package muster.controls.net_03

import data.muster.lib

says(name) := lib.setting(input.facts.rdp, name)

on if {
	lib.windows
	says("fdenytsconnections") == "0"
}

approved if {
	not lib.ems
	data.lists.rdp_allowed == true
}

# What makes it strong: who connects signs in first, over TLS.
strong := {"userauthentication": "1", "securitylayer": "2"}

violations contains {"subject": "Remote Desktop", "found": "on", "want": "off"} if {
	lib.windows
	on
	not approved
}

violations contains {"subject": "Remote Desktop", "found": sprintf("%s = %s", [name, says(name)]), "want": want} if {
	lib.windows
	on
	approved
	some name, want in strong
	says(name) in ({"0", "1"} - {want})
}

violations contains {"subject": sprintf("firewall rule %s", [rule.name]), "found": "lets Remote Desktop in from public networks", "want": "no such rule"} if {
	lib.windows
	on
	approved
	some rule in input.facts.firewall_rules
	rule.profile_public == "1"
	lower(rule.service_name) in {"", "*", "termservice"}
	lib.lets_in(rule, {"protocol": "tcp", "port": port, "path": "svchost.exe"})
}

violations contains {"subject": "Remote Assistance", "found": "on", "want": "off"} if {
	lib.windows
	lib.ems
	says("fallowtogethelp") == "1"
}

unknown contains "the computer does not say whether Remote Desktop is on" if {
	lib.windows
	not says("fdenytsconnections") in {"0", "1"}
}

unknown contains "an election management system does not say whether Remote Assistance is on" if {
	lib.windows
	lib.ems
	not says("fallowtogethelp") in {"0", "1"}
}

unknown contains sprintf("Remote Desktop is on and says %s = %s", [name, says(name)]) if {
	lib.windows
	on
	some name, want in strong
	not says(name) in {"0", "1", want}
}

unknown contains "Remote Desktop is on, and cannot see which firewall rules let it in" if {
	lib.windows
	on
	not rules_seen
}

rules_seen if {
	count(input.facts.firewall_rules) > 0
	not lib.group_rules
	port
}

port := 3389 if says("portnumber") == "absent"

port := lib.dword(says("portnumber")) if says("portnumber") != "absent"

notes contains "Remote Desktop is on, as the list rdp_allowed permits" if {
	lib.windows
	on
	approved
}

notes contains "Remote Assistance is on" if {
	lib.windows
	not lib.ems
	says("fallowtogethelp") == "1"
}

# What listens is believed more than what is set.
doors := {"3389"} if lib.windows

doors := {"3389"} | {sprintf("%d", [n]) | some n in numbers.range(5900, 5909)} if not lib.windows

violations contains {"subject": sprintf("tcp/%s", [l.port]), "found": sprintf("remote control is open (%s)", [l.name]), "want": "closed"} if {
	not on
	some l in input.facts.listening
	l.protocol == "6"
	l.port in doors
}

# Names of processes are cut at 15 characters.
desktops := {
	"xrdp", "xrdp-sesman", "gnome-remote-de", "krdpserver", "vino-server", "krfb", "wayvnc", "x11vnc", "Xvnc",
	"Xtigervnc", "Xtightvnc", "x0vncserver", "vncserver", "vncserver-x11", "vncserver-x11-s", "vncserver-x11-c",
}

violations contains {"subject": name, "found": "running", "want": "stopped"} if {
	not lib.windows
	some name in (desktops & running)
}

running := {p.name | some p in input.facts.processes}

unknown contains "no running program was seen" if count(running) == 0

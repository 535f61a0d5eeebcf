# METADATA
# title: Nobody has weakened the antivirus
# description: >-
#   Attackers often switch protection off, or exclude a folder, as their first step.
# custom:
#   id: MVS-AV-03
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows]
#   facts: [defender_settings, {any: [antivirus, defender]}]
#   lists: [av_exclusions_allowed]
#   maps:
#     cis: ["10.1"]
#     cpg1: ["3.A"]
#     cpg2: ["4.A"]
#     csf: ["PR.PS-01"]
#     belfer: ["8"]
#     nist: ["SI-3", "SI-7"]
#     vvsg: ["15.3-A"]
#   remedy: >-
#     Ask IT why the listed exception exists and remove it if there is no reason. Turn on Tamper Protection in Windows Security.
package muster.controls.av_03

import data.muster.lib

# Another antivirus takes Defender's place.
others contains p.name if {
	some p in input.facts.antivirus
	p.state == "On"
}

defends if "On" in {p.state | some p in input.facts.antivirus; p.defender == "1"}

defends if "1" in {d.real_time | some d in input.facts.defender}

inapplicable contains sprintf("%s protects this computer, and Microsoft Defender does not", [concat(", ", others)]) if {
	count(others) > 0
	not defends
}

exclusions contains r.name if {
	some r in input.facts.defender_settings
	contains(lower(r.key), `\exclusions\`)
}

switches contains r if {
	some r in input.facts.defender_settings
	not contains(lower(r.key), `\exclusions\`)
}

main := {"disableantispyware", "disableantivirus", "disablerealtimemonitoring"}

# A whole drive, a person's folder, or where everything from outside arrives first.
broad(name) if {
	place := trim_right(replace(lower(name), "/", `\`), `\*.`)
	regex.match(`^$|^(\\\\\?\\)?([a-z]:|%systemdrive%)(\\users(\\[^\\]+)?)?$|^%userprofile%$|(^|[\\%])(temp|tmp|downloads)%?$|^\*?\.?exe$`, place)
}

allowed := {lower(name) | some name in data.lists.av_exclusions_allowed}

violations contains {"subject": r.name, "found": "Microsoft Defender is switched off in the registry", "want": "0, or not there"} if {
	some r in switches
	lower(r.name) in main
	lib.dword(r.data) > 0
}

violations contains {"subject": name, "found": "is not searched", "want": "searched: this may never be left out"} if {
	some name in exclusions
	broad(name)
}

violations contains {"subject": name, "found": "is not searched", "want": "searched, or on the list av_exclusions_allowed"} if {
	some name in exclusions
	not broad(name)
	not lower(name) in allowed
}

unknown contains sprintf("%s cannot be read", [r.name]) if {
	some r in switches
	not lib.dword(r.data)
}

unknown contains "neither the Security Center nor Microsoft Defender says which antivirus is on" if {
	count(others) == 0
	not defends
}

notes contains sprintf("%s switches off a part of Microsoft Defender", [r.name]) if {
	some r in switches
	not lower(r.name) in main
	lib.dword(r.data) > 0
}

notes contains "Tamper Protection is off: programs may change these settings" if {
	"0" in {d.tamper_protected | some d in input.facts.defender}
}

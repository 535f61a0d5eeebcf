# METADATA
# title: Antivirus knowledge is fresh
# description: >-
#   Yesterday's list does not know today's malware.
# custom:
#   id: MVS-AV-02
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [{any: [antivirus, defender]}, {any: [signatures, defender]}]
#   lists: [av_max_age_days, ems_baseline]
#   maps:
#     cis: ["10.2"]
#     cpg1: ["3.A"]
#     cpg2: ["4.A"]
#     csf: ["DE.CM-09"]
#     belfer: ["8"]
#     nist: ["SI-3"]
#     vvsg: ["15.3-B"]
#   remedy: >-
#     Choose Check for updates under Virus and threat protection. For an election management computer, use the offline update file that the vendor allows.
#   remedies:
#     linux: >-
#       Ask IT why the antivirus does not fetch its updates, and to start them again. For an election management computer, use the offline update file that the vendor allows.
package muster.controls.av_02

import data.muster.lib

# The antivirus that is on. Windows Server does not tell which; there it is Defender.
products contains p if {
	some p in input.facts.antivirus
	p.state == "On"
}

# Of these the age of what they know can be seen, of others only what they say of it.
dated if "1" in {p.defender | some p in products}

dated if "clamd" in {p.name | some p in products}

dated if defender_alone

defender_alone if {
	count(products) == 0
	"1" in {d.real_time | some d in input.facts.defender}
}

# Defender's own word, else what is kept on disk.
own contains lib.num(d.signatures_updated) if {
	some d in input.facts.defender
	lib.num(d.signatures_updated) > 0
}

updated := max(own)

updated := max({filetime(s.updated) | some s in input.facts.signatures}) if {
	lib.windows
	count(own) == 0
}

updated := max({lib.num(s.updated) | some s in input.facts.signatures}) if not lib.windows

# Windows counts 100 nanoseconds since 1601, the lowest byte first. The upper four
# of the eight bytes are exact to seven minutes.
filetime(hex) := (upper * 429.4967296) - 11644473600 if {
	regex.match(`^[0-9A-F]{16}$`, hex)
	upper := sum([value |
		some i, digit in split(substring(hex, 8, 8), "")
		value := indexof("0123456789ABCDEF", digit) * [16, 1, 4096, 256, 1048576, 65536, 268435456, 16777216][i]
	])
}

days := ((lib.now_ns / 1000000000) - updated) / 86400

limit := data.lists.av_max_age_days if is_number(data.lists.av_max_age_days)

limit := data.lists.av_max_age_days[input.host.profile] if is_number(data.lists.av_max_age_days[input.host.profile])

violations contains {"subject": "antivirus", "found": sprintf("last updated %d days ago", [floor(days)]), "want": sprintf("at most %v days ago", [limit])} if {
	dated
	days > limit
}

# The Security Center allows less time than an election management system has.
violations contains {"subject": p.name, "found": "what it knows is out of date", "want": "up to date"} if {
	not lib.ems
	some p in products
	p.fresh == "0"
}

vague(p) if {
	lib.windows
	p.defender != "1"
	p.fresh != "1"
}

vague(p) if {
	lib.windows
	not lib.ems
	not p.fresh in {"0", "1"}
}

vague(p) if {
	not lib.windows
	p.name != "clamd"
}

unknown contains sprintf("%s does not say how old its knowledge is", [p.name]) if {
	some p in products
	vague(p)
}

# A clock may be off by a day.
legible if days >= -1

unknown contains "when the antivirus was last updated cannot be read" if {
	dated
	not legible
}

unknown contains "no antivirus was seen to be on" if {
	count(products) == 0
	not defender_alone
}

unknown contains "the list av_max_age_days gives no number of days" if not limit

inapplicable contains "the certified build has no antivirus" if {
	lib.ems
	data.lists.ems_baseline.antivirus == false
}

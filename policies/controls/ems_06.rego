# METADATA
# title: The EMS clock is right
# description: >-
#   Without internet the clock drifts, and wrong times make logs hard to trust.
# custom:
#   id: MVS-EMS-06
#   severity: high
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [clock, time_source]
#   also: [written]
#   lists: [trusted_time, closed_network, closed_domain]
#   maps:
#     cis: ["8.4"]
#     cpg1: ["2.T"]
#     cpg2: ["3.Q"]
#     csf: ["PR.PS-04"]
#     belfer: ["8"]
#     nist: ["AU-8", "SC-45"]
#     vvsg: ["15.1-D"]
#   remedy: >-
#     Set the clock by hand with a second person watching and write it in the log. If it is wrong again next week, the battery on the main board needs replacing.
package muster.controls.ems_06

import data.muster.lib

# Seconds since 1970.
clock := lib.num(input.facts.clock[0].unix_time)

trusted := floor(time.parse_rfc3339_ns(data.lists.trusted_time) / 1000000000) if {
	regex.match(`^20[0-9]{2}-[01][0-9]-[0-3][0-9]T.*(Z|[+-][0-9]{2}:[0-9]{2})$`, data.lists.trusted_time)
}

wrong := clock - trusted

violations contains {"subject": "clock", "found": told, "want": "at most 300 seconds from the trusted time"} if abs(wrong) > 300

notes contains told if {
	abs(wrong) > 60
	abs(wrong) <= 300
}

told := sprintf("%d seconds fast", [wrong]) if wrong > 0

told := sprintf("%d seconds slow", [0 - wrong]) if wrong < 0

violations contains {"subject": "clock", "found": sprintf("was set back: %s was written to on %s", [w.path, time.format([lib.num(w.mtime) * 1000000000, "UTC", "2006-01-02 15:04"])]), "want": "no file from the future"} if {
	some w in input.facts.written
	lib.num(w.mtime) > clock + 60
}

word(name) := trim_space(lib.setting(input.facts.time_source, name))

type := lower(word("type"))

# Where the time comes from. On Windows flags such as ,0x9 follow each name.
asked := word("ntpserver") if type in {"ntp", "allsync"}

asked := [text | some text in [word("ntp"), word("fallbackntp")]; not text in {"", "absent"}][0] if {
	word("service") == "systemd-timesyncd"
}

servers := {split(name, ",")[0] | some name in regex.split(`\s+`, asked)} - {"", "absent"}

violations contains {"subject": "time service", "found": "asks the servers that systemd came with", "want": "no server, or one of the closed network"} if {
	word("service") == "systemd-timesyncd"
	word("fallbackntp") == "absent"
	word("ntp") in {"", "absent"}
}

violations contains {"subject": "time service", "found": sprintf("asks %s", [server]), "want": "no server, or one of the closed network"} if {
	some server in servers
	not lib.ours(server, data.lists.closed_network, data.lists.closed_domain)
}

unknown contains "the computer does not say what time it has" if not clock

unknown contains "the list trusted_time holds no time such as 2026-11-03T08:00:00Z" if not trusted

unknown contains "cannot see where the time comes from" if {
	lib.windows
	not type in {"nosync", "nt5ds", "ntp", "allsync"}
}

unknown contains "cannot see where the time comes from" if {
	not lib.windows
	not word("service") in {"", "systemd-timesyncd"}
}

unknown contains "Windows asks for the time somewhere, and does not say where" if {
	type in {"ntp", "allsync"}
	servers == set()
}

unknown contains "Windows gets the time from its domain, and the list closed_domain names none" if {
	type in {"nt5ds", "allsync"}
	data.lists.closed_domain == ""
}

# METADATA
# title: The clock is set automatically
# description: >-
#   Logs and election deadlines are worth little if the clock is wrong.
# custom:
#   id: MVS-LOG-04
#   severity: medium
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [{any: [time_service, time_sync]}]
#   also: [time_sync]
#   maps:
#     cis: ["8.4"]
#     cpg1: ["2.T"]
#     cpg2: ["3.Q"]
#     csf: ["PR.PS-04"]
#     belfer: ["8"]
#     nist: ["AU-8", "SC-45"]
#   remedy: >-
#     Open Settings, Time and language, and switch on Set time automatically. Then press Sync now.
#   remedies:
#     linux: >-
#       Open Settings, Date and Time, and switch on Automatic Date and Time. If that is not there, ask IT to install a time service.
package muster.controls.log_04

import data.muster.lib

type := lower(lib.setting(input.facts.time_service, "type"))

violations contains {"subject": "clock", "found": "set to take the time from nobody (NoSync)", "want": "set automatically"} if {
	lib.windows
	type == "nosync"
}

unknown contains "cannot see where Windows takes the time from" if {
	lib.windows
	not known
}

known if type in {"ntp", "nt5ds", "allsync", "nosync"}

age(t) := lib.now_ns - (lib.num(t.last_sync) * 1000000000)

violations contains {"subject": "clock", "found": "not set for more than 7 days", "want": "set automatically at least once a week"} if {
	lib.windows
	some t in input.facts.time_sync
	age(t) > 7 * lib.day
}

# A time to come is as odd as none.
unknown contains "cannot see when the clock was last set" if {
	lib.windows
	some t in input.facts.time_sync
	not past(t)
}

past(t) if age(t) + lib.day > 0

off(t) := abs(to_number(t.offset_seconds)) if regex.match(`^-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$`, t.offset_seconds)

violations contains {"subject": "clock", "found": sprintf("%v seconds off", [off(t)]), "want": "less than 60 seconds off"} if {
	some t in input.facts.time_sync
	off(t) >= 60
}

violations contains {"subject": "clock", "found": "no time service runs", "want": "one that sets the clock"} if {
	some t in input.facts.time_sync
	t.service == ""
}

violations contains {"subject": "clock", "found": "not synchronized", "want": "synchronized"} if {
	some t in input.facts.time_sync
	t.synchronized == "0"
}

unknown contains "cannot see whether the clock is right" if {
	not lib.windows
	some t in input.facts.time_sync
	not plain(t)
}

plain(t) if {
	t.synchronized in {"0", "1"}
	off(t) >= 0
}

unknown contains "nothing was said about the clock" if count(input.facts.time_sync) == 0

notes contains "Windows does not say by how many seconds the clock is off" if {
	lib.windows
	some t in input.facts.time_sync
	not off(t)
}

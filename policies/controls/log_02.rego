# METADATA
# title: Event logs are running and large enough
# description: >-
#   A log that is too small forgets the first day of an attack.
# custom:
#   id: MVS-LOG-02
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [eventlog_config, eventlog_service]
#   maps:
#     cis: ["8.2", "8.3"]
#     cpg1: ["2.T", "2.U"]
#     cpg2: ["3.Q"]
#     csf: ["PR.PS-04"]
#     belfer: ["8"]
#     nist: ["AU-4", "AU-11"]
#     vvsg: ["15.1-A"]
#   remedy: >-
#     Ask IT to raise the Security log to at least 192 MB. Copy logs to a safe place before and after each election.
#   remedies:
#     linux: >-
#       Ask IT to make the system keep its journal on disk or to run rsyslog. Copy logs to a safe place before and after each election.
package muster.controls.log_02

import data.muster.lib

# Bytes that each log must be able to hold.
need := {"Security": 201326592, "System": 33554432, "Application": 33554432}

local(log) := max({lib.dword(r.data) |
	some r in input.facts.eventlog_config
	endswith(lower(r.key), sprintf(`services\eventlog\%s`, [lower(log)]))
})

# A policy counts in kilobytes and wins.
policy(log) := 1024 * max({lib.dword(r.data) |
	some r in input.facts.eventlog_config
	endswith(lower(r.key), sprintf(`policies\microsoft\windows\eventlog\%s`, [lower(log)]))
})

size(log) := policy(log)

size(log) := local(log) if not policy(log)

violations contains {"subject": log, "found": sprintf("%d bytes", [size(log)]), "want": sprintf("%d bytes", [bytes])} if {
	lib.windows
	some log, bytes in need
	size(log) < bytes
}

violations contains {"subject": log, "found": "the small size that Windows starts with", "want": sprintf("%d bytes", [bytes])} if {
	lib.windows
	some log, bytes in need
	not size(log)
	not odd(log)
}

# A size that is no number says neither.
odd(log) if {
	some r in input.facts.eventlog_config
	endswith(lower(r.key), sprintf(`\eventlog\%s`, [lower(log)]))
	not lib.dword(r.data)
}

unknown contains sprintf("the size of the %s log cannot be read", [log]) if {
	lib.windows
	some log, _ in need
	odd(log)
}

violations contains {"subject": "EventLog", "found": "not running", "want": "running"} if {
	lib.windows
	not "RUNNING" in {s.status | some s in input.facts.eventlog_service}
}

# The journal, or the log of sign-ins. Either is written to every day.
kept if {
	some f in input.facts.eventlog_config
	lib.num(f.mtime) * 1000000000 > lib.now_ns - lib.day
}

violations contains {"subject": "system log", "found": "neither the journal on disk nor a log of sign-ins was written to in the last day", "want": "one of the two"} if {
	not lib.windows
	not kept
}

# METADATA
# title: Nothing unknown starts by itself
# description: >-
#   Programs that hide in the start list survive restarts and clean-ups.
# custom:
#   id: MVS-APP-04
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [startup, autostart_services, winlogon_hooks]
#   also: [scheduled_tasks, cron_jobs, wmi_persistence]
#   lists: [startup_approved]
#   maps:
#     cis: ["2.3"]
#     cpg1: ["3.A"]
#     cpg2: ["4.B"]
#     csf: ["DE.CM-09"]
#     belfer: ["8"]
#     nist: ["CM-11", "SI-7"]
#     vvsg: ["14.3.2-C"]
#   remedy: >-
#     Ask IT about every item in the list that nobody recognises. Approve the known ones once, so that only new ones are shown next time.
package muster.controls.app_04

import data.muster.lib

items contains i if some i in input.facts.startup

items contains i if some i in input.facts.autostart_services

items contains i if some i in input.facts.cron_jobs

items contains {"kind": "task", "name": t.name, "path": trim_space(t.action), "sha256": ""} if {
	some t in input.facts.scheduled_tasks
	t.enabled != "0"
}

items contains i if some i in input.facts.wmi_persistence

# Windows' own programs, but for those that run what they are told to: in a list,
# or by an argument that names a file or an address.
windows_own(i) if {
	lib.windows
	regex.match(`^"?([a-z]:\\windows|%windir%|%systemroot%|\\systemroot)\\(system32|system32\\wbem|syswow64|servicing)\\[^\\" ]+\.(exe|dll)"?( [^\\:.%]*)?$|^"?[a-z]:\\programdata\\microsoft\\windows defender\\platform\\[^\\]+\\[^\\]+\.exe"?$`, lower(i.path))
	not regex.match(`\\(cmd|rundll32|regsvr32|mshta|wscript|cscript|msiexec|conhost|forfiles|wmic|schtasks|bash|wsl|pcalua)(\.exe)?\b`, lower(i.path))
}

windows_own(i) if {
	i.kind == "wmi"
	i.path == "select * from MSFT_SCMEventLogEvent"
}

# Nothing is taken for granted on an election management system.
own(i) if {
	not lib.ems
	windows_own(i)
}

# The checksums of an approved item; "" where the list asks for none.
approved[[e.kind, lib.folded(e.name), lib.folded(e.path)]] contains lower(object.get(e, "sha256", "")) if {
	some e in data.lists.startup_approved
}

sums(i) := object.get(approved, [[i.kind, lib.folded(i.name), lib.folded(i.path)]], set())

known(i) if count(sums(i) & {"", lower(i.sha256)}) > 0

unread(i) if {
	i.sha256 == ""
	count(sums(i)) > 0
}

violations contains {"subject": sprintf("%s %s", [i.kind, i.name]), "found": i.path, "want": "on the list startup_approved, or removed"} if {
	some i in items
	not own(i)
	not known(i)
	not unread(i)
}

unknown contains sprintf("the list asks for the checksum of %s %s, which cannot be read", [i.kind, i.name]) if {
	some i in items
	unread(i)
	not known(i)
}

# Everything else must be empty.
usual := {"shell": `^explorer\.exe$`, "userinit": `^[a-z]:\\windows\\system32\\userinit\.exe,?$`}

violations contains {"subject": sprintf("%s (%s)", [r.name, r.key]), "found": r.data, "want": "nothing but the system's own"} if {
	some r in input.facts.winlogon_hooks
	not regex.match(object.get(usual, lower(r.name), "^$"), lower(trim_space(r.data)))
}

unknown contains sprintf("the setting %s was not seen", [name]) if {
	lib.windows
	some name, _ in usual
	not name in {lower(r.name) | some r in input.facts.winlogon_hooks}
}

unknown contains "no service was seen at all" if {
	lib.windows
	count(input.facts.autostart_services) == 0
}

notes contains `tasks in Windows' own folder, \Microsoft\Windows, were not looked at` if lib.windows

# METADATA
# title: The screen locks itself within 15 minutes
# description: >-
#   Public counters and polling rooms leave screens in reach of visitors.
# custom:
#   id: MVS-ACC-01
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [screen_lock, desktop_sessions]
#   lists: [ems_baseline]
#   maps:
#     cis: ["4.3"]
#     cpg2: ["3.H"]
#     csf: ["PR.AA-03"]
#     belfer: ["6"]
#     nist: ["AC-11"]
#     vvsg: ["11.5-A"]
#   remedy: >-
#     Set the screen to lock after ten minutes and require the password on return. Teach staff to press the Windows key and L when they stand up.
package muster.controls.acc_01

import data.muster.lib

limit := 900

# Windows: one time for everyone, or each person's own screen saver.
machine := {r.data | some r in input.facts.screen_lock; lower(r.name) == "inactivitytimeoutsecs"}

locks if {
	some text in machine
	lib.num(text) > 0
	lib.num(text) <= limit
}

people contains sid if {
	some r in input.facts.screen_lock
	sid := split(r.key, `\`)[1]
	regex.match(`^S-1-(5-21|12-1)-[0-9-]+$`, sid)
}

saver(sid) := {name: lib.setting(rows, name) |
	rows := [r | some r in input.facts.screen_lock; startswith(r.key, sprintf(`HKEY_USERS\%s\`, [sid]))]
	some name in ["screensaveactive", "screensaverissecure", "screensavetimeout", "scrnsave.exe"]
}

# Without a screen saver to start Windows does not look at the other settings.
lax(s) if s.screensaveactive in {"0", "absent"}

lax(s) if s.screensaverissecure in {"0", "absent"}

lax(s) if s.screensavetimeout in {"0", "absent"}

lax(s) if lib.num(s.screensavetimeout) > limit

lax(s) if s["scrnsave.exe"] in {"", "absent"}

tight(s) if {
	s.screensaveactive == "1"
	s.screensaverissecure == "1"
	lib.num(s.screensavetimeout) >= 0
}

# Names of people, where Windows could tell them.
names := {r.key: r.data | some r in input.facts.screen_lock; r.name == "user"; r.data != ""}

violations contains {"subject": object.get(names, concat("", [`HKEY_USERS\`, sid]), sid), "found": sprintf("screen saver: %s, password on return: %s, seconds: %s", [s.screensaveactive, s.screensaverissecure, s.screensavetimeout]), "want": "locks after 15 minutes at most"} if {
	lib.windows
	not locks
	every text in machine {
		lib.num(text)
	}
	some sid in people
	s := saver(sid)
	lax(s)
}

unknown contains "a setting of the screen lock cannot be read" if {
	lib.windows
	some text in machine
	not lib.num(text)
}

unknown contains sprintf("the screen saver of %s cannot be read", [sid]) if {
	lib.windows
	not locks
	some sid in people
	not tight(saver(sid))
}

unknown contains "the lock is each person's own, and nobody is signed in" if {
	lib.windows
	not locks
	count(people) == 0
}

# Linux: each desktop that can be chosen, for each person and for new ones.
screens contains [r.username, r.desktop] if {
	some r in input.facts.screen_lock
	some d in input.facts.desktop_sessions
	r.desktop == d.desktop
}

rows(screen) := [r |
	some r in input.facts.screen_lock
	[r.username, r.desktop] == screen
]

switches := {"true", "false"}

# Never: a switch the wrong way round, or a wait of 0.
never(r) if {
	r.value in (switches - {r.kind})
}

never(r) if {
	r.kind == "idle"
	r.value == "0"
}

# A key can have several values, one for each desktop that has a default of its own.
seconds(screen) := sum([max([(lib.num(r.value) * lib.num(r.unit)) | some r in rows(screen); r.key == key]) |
	some key in {r.key | some r in rows(screen); r.kind in {"idle", "delay"}}
])

legible(r) if {
	r.value in switches
}

legible(r) if {
	r.kind in {"idle", "delay"}
	lib.num(r.value) >= 0
}

person(screen) := sprintf("%s in %s", [object.get({"": "a new account"}, screen[0], screen[0]), screen[1]])

violations contains {"subject": person(screen), "found": sprintf("%s is %s", [r.key, r.value]), "want": "locks after 15 minutes at most"} if {
	not lib.windows
	some screen in screens
	some r in rows(screen)
	never(r)
}

violations contains {"subject": person(screen), "found": sprintf("locks after %d seconds", [seconds(screen)]), "want": "after 15 minutes at most"} if {
	not lib.windows
	some screen in screens
	seconds(screen) > limit
}

unknown contains sprintf("the screen lock of %s cannot be read", [person(screen)]) if {
	not lib.windows
	some screen in screens
	some r in rows(screen)
	not legible(r)
}

unknown contains sprintf("the screen lock of %s cannot be read", [person(screen)]) if {
	not lib.windows
	some screen in screens
	some kind in ["idle", "true"]
	not kind in {r.kind | some r in rows(screen)}
}

unknown contains sprintf("the screen lock of %s cannot be read", [d.desktop]) if {
	not lib.windows
	some d in input.facts.desktop_sessions
	not d.desktop in {screen[1] | some screen in screens}
}

unknown contains "no desktop was found whose screen lock can be read" if {
	not lib.windows
	count(input.facts.desktop_sessions) == 0
}

inapplicable contains "someone is always with it, as the certified build says" if {
	lib.ems
	data.lists.ems_baseline.no_lock == true
}

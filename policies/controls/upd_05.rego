# METADATA
# title: Web browsers are up to date
# description: >-
#   Staff open links from the public all day, so the browser is the front door.
# custom:
#   id: MVS-UPD-05
#   severity: high
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [browsers, software]
#   lists: [browser_floor]
#   maps:
#     cis: ["9.1"]
#     cpg1: ["1.E"]
#     cpg2: ["2.B"]
#     csf: ["PR.PS-02"]
#     belfer: ["7"]
#     nist: ["SI-2"]
#   remedy: >-
#     Open the browser, choose Help and About, and let it update itself. Remove browsers that nobody uses.
#   remedies:
#     linux: >-
#       Open the program that updates this computer and install the new version of the browser. Remove browsers that nobody uses.
package muster.controls.upd_05

import data.muster.lib

# The kind decides which floor holds.
kind(name) := "chrome" if regex.match(`(?i)^google.chrome|^chromium|\\chrome\.exe$`, name)

kind(name) := "edge" if regex.match(`(?i)^microsoft.edge|\\msedge\.exe$`, name)

kind(name) := "firefox" if {
	firefox(name)
	not esr(name)
}

kind(name) := "firefox_esr" if {
	firefox(name)
	esr(name)
}

firefox(name) if regex.match(`(?i)^(mozilla )?firefox|\\firefox\.exe$`, name)

extended(name) if regex.match(`(?i)^(mozilla )?firefox.*\besr\b`, name)

esr(name) if extended(name)

# A file does not say which kind it is: what was installed does.
esr(name) if {
	contains(name, `\`)
	installed := {b.name | some b in input.facts.browsers; firefox(b.name); not contains(b.name, `\`)}
	count(installed) > 0
	every other in installed {
		extended(other)
	}
}

browsers contains {"name": b.name, "version": b.version, "kind": kind(b.name)} if some b in input.facts.browsers

violations contains {"subject": b.name, "found": b.version, "want": sprintf("version %v or newer", [floor])} if {
	some b in browsers
	floor := data.lists.browser_floor[b.kind]
	is_number(floor)
	lib.major(b.version) < floor
}

unknown contains sprintf("the version of %s cannot be read", [b.name]) if {
	some b in browsers
	not lib.major(b.version)
}

unknown contains sprintf("list browser_floor says nothing of %s", [b.kind]) if {
	some b in browsers
	not is_number(data.lists.browser_floor[b.kind])
}

unknown contains "no installed program was seen at all" if count(lib.programs) == 0

inapplicable contains "no browser is installed" if {
	count(browsers) == 0
	count(lib.programs) > 0
}

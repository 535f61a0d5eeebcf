# METADATA
# title: Inserted media do not start programs by themselves
# description: >-
#   Election offices pass many USB sticks between machines.
# custom:
#   id: MVS-MED-01
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [autorun, desktops]
#   maps:
#     cis: ["10.3"]
#     cpg1: ["2.V"]
#     cpg2: ["3.M"]
#     csf: ["PR.PS-01"]
#     belfer: ["7"]
#     nist: ["MP-7", "CM-7"]
#     vvsg: ["12.2-A"]
#   remedy: >-
#     Open Settings, Bluetooth and devices, AutoPlay and switch it off. IT can enforce this on all computers at once.
#   remedies:
#     linux: >-
#       Open Settings, Apps or Removable Media, and choose never to start or ask when media are inserted. IT can enforce this on all computers at once.
package muster.controls.med_01

import data.muster.lib

# 255 are all kinds of drives, and so are all bits.
want := {"NoDriveTypeAutoRun": [255, 4294967295], "NoAutorun": [1], "NoAutoplayfornonVolume": [1]}

value(name) := lib.setting(input.facts.autorun, lower(name))

violations contains {"subject": name, "found": object.get({"absent": "not set"}, value(name), value(name)), "want": sprintf("%d", [good[0]])} if {
	lib.windows
	some name, good in want
	not same(value(name), good)
	not odd(value(name))
}

same(text, good) if lib.dword(text) in good

odd(text) if {
	text != "absent"
	not lib.dword(text)
}

unknown contains sprintf("the setting %s cannot be read", [name]) if {
	lib.windows
	some name, _ in want
	odd(value(name))
}

# A person, or "" for a new one, and a desktop's settings.
desks contains [s.username, s.schema] if some s in input.facts.autorun

said(desk, key) := {s.value |
	some s in input.facts.autorun
	[s.username, s.schema] == desk
	s.key == key
}

quiet(desk) if said(desk, "automount") == {"false"}

quiet(desk) if said(desk, "autorun-never") == {"true"}

loud(desk) if {
	"true" in said(desk, "automount")
	"false" in said(desk, "autorun-never")
}

person(desk) := desk[0] if desk[0] != ""

person(desk) := "people who are new here" if desk[0] == ""

# Desktops whose settings can be read, if they have any.
readable contains d.name if {
	some d in input.facts.desktops
	regex.match(`^(gnome|ubuntu|pop|budgie|cinnamon|mate)`, d.name)
}

violations contains {"subject": person(desk), "found": "media are opened and may start programs", "want": "automount off, or autorun-never on"} if {
	not lib.windows
	count(readable) > 0
	some desk in desks
	loud(desk)
}

unknown contains sprintf("what happens to media of %s was not said", [person(desk)]) if {
	not lib.windows
	some desk in desks
	not quiet(desk)
	not loud(desk)
}

unknown contains sprintf("the settings of the desktop %s cannot be read", [d.name]) if {
	not lib.windows
	some d in input.facts.desktops
	not d.name in readable
	not another(d)
}

# LightDM's own entry on Debian starts one of the others.
another(d) if {
	d.name == "lightdm-xsession.desktop"
	count(input.facts.desktops) > 1
}

unknown contains "the settings of the desktop were not seen" if {
	not lib.windows
	count(readable) > 0
	count(desks) == 0
}

inapplicable contains "no desktop is installed" if count(input.facts.desktops) == 0

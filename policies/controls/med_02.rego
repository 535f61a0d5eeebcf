# METADATA
# title: Unknown USB storage is blocked
# description: >-
#   USB sticks are how malware crosses an air gap.
# custom:
#   id: MVS-MED-02
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [usb_policy]
#   lists: [transfer_window]
#   maps:
#     cis: ["10.3", "3.9"]
#     cpg1: ["2.V"]
#     cpg2: ["3.R"]
#     csf: ["PR.DS-01"]
#     belfer: ["7"]
#     nist: ["MP-7", "SC-41"]
#     vvsg: ["12.2-D"]
#   remedy: >-
#     Ask IT to allow only the numbered USB sticks that the office bought. Never plug in a stick that someone found or brought from home.
package muster.controls.med_02

import data.muster.lib

value(name) := lib.setting(input.facts.usb_policy, name)

on(name) if value(name) == "1"

allowed contains lower(r.data) if {
	some r in input.facts.usb_policy
	r.name == "allowed"
}

# Names of whole kinds of devices, which every stick has.
general contains name if {
	some name in allowed
	regex.match(`^(\*|gendisk|usbstor\\(gendisk|disk)|usbstor|usb\\class_08.*|\{4d36e967-.*\}|\{36fc9e60-.*\})$`, name)
}

# Only approved sticks, or none.
closed if value("usbstor") == "4"

closed if on("deny_all")

closed if {
	true in {on(name) | some name in ["denyremovabledevices", "denyunspecified"]}
	true in {on(name) | some name in ["allowdeviceids", "allowinstanceids"]}
	count(allowed) > 0
	count(general) == 0
}

closed if {
	some r in input.facts.usb_policy
	regex.match(`^usb[-_]storage\s+(/usr)?/bin/(false|true)\b`, r.data)
	value("loaded") == "absent"
}

closed if value("running") == "usbguard-daemon"

# Enough where sticks are part of the work.
hindered if {
	on("deny_write")
	on("deny_execute")
}

hindered if on("rdvdenywriteaccess")

safe if closed

safe if {
	not lib.ems
	hindered
}

transfer contains w.to if {
	lib.ems
	some w in data.lists.transfer_window
	time.parse_rfc3339_ns(w.from) <= lib.now_ns
	lib.now_ns < time.parse_rfc3339_ns(w.to)
}

odd contains r.name if {
	lib.windows
	some r in input.facts.usb_policy
	r.name != "allowed"
	not lib.dword(r.data)
}

violations contains {"subject": "USB storage", "found": found, "want": "blocked, or approved sticks only"} if {
	lib.ems
	not safe
	count(transfer) == 0
	count(odd) == 0
}

found := sprintf("the allow list names every stick: %s", [concat(", ", general)]) if count(general) > 0

found := "any USB stick works" if count(general) == 0

unknown contains sprintf("the setting %s cannot be read", [name]) if {
	not safe
	some name in odd
}

notes contains "any USB stick works here" if {
	not lib.ems
	not safe
}

notes contains sprintf("USB sticks are open for a transfer until %s", [to]) if {
	not safe
	some to in transfer
}

notes contains "fast USB disks have a driver of their own, UASPStor, which is not switched off" if {
	value("usbstor") == "4"
	not value("uaspstor") in {"4", "absent"}
}

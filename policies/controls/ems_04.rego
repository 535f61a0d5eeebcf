# METADATA
# title: Only registered USB media were used on the EMS computer
# description: >-
#   Removable media is the only bridge over the air gap, so each crossing must be known.
# custom:
#   id: MVS-EMS-04
#   severity: critical
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [usb_history]
#   also: [usb_disks]
#   lists: [media_register]
#   maps:
#     cis: ["3.9", "10.3"]
#     cpg1: ["2.V"]
#     cpg2: ["3.R"]
#     csf: ["PR.DS-01"]
#     belfer: ["7"]
#     nist: ["MP-7", "SC-41"]
#     vvsg: ["12.1-D"]
#   remedy: >-
#     Find out who used the listed stick and when, and note it in the media log. Replace sticks that left the office and never reuse them here.
package muster.controls.ems_04

import data.muster.lib

# Each stick with the time of its last use. Its name is the device and its serial
# number: disk&ven_a&prod_b\0123 of …\Disk&Ven_A&Prod_B\0123&0 on Windows, and
# usb-a_b_0123 of …/usb-A_B_0123-0:0 on Linux.
used contains {"stick": stick(u.path), "at": lib.num(u.mtime) * 1000000000} if {
	some u in input.facts.usb_history
}

used contains {"stick": stick(d.path), "at": lib.now_ns} if {
	some d in input.facts.usb_disks
}

stick(path) := lower(regex.replace(
	regex.replace(path, `^.*\\([^\\]+\\[^\\]+)$|^.*/([^/]+)$`, "$1$2"),
	`(&[0-9]+|-[0-9]+:[0-9]+)$`, "",
))

before_serial := `\` if lib.windows

before_serial := "_" if not lib.windows

is(name, serial) if name == stick(serial)

# With & in second place it is no serial number but stands for the port, and is
# registered together with the device.
is(name, serial) if {
	endswith(name, concat("", [before_serial, lower(serial)]))
	not regex.match(`^(.&|$)`, serial)
}

# A day without a time is the whole day.
instant(text, clock) := time.parse_rfc3339_ns(object.get({false: concat("T", [text, clock])}, contains(text, "T"), text))

registered(u) if {
	some m in data.lists.media_register
	is(u.stick, m.serial)
	trim_space(m.owner) != ""
	trim_space(m.purpose) != ""
	u.at >= instant(m.from, "00:00:00Z")
	u.at <= instant(m.to, "23:59:59Z")
}

violations contains {"subject": u.stick, "found": sprintf("used on %s", [time.format([u.at, "UTC", "2006-01-02 15:04"])]), "want": "in the list media_register for that time, with owner and purpose"} if {
	some u in used
	not registered(u)
}

unknown contains sprintf("cannot see when this medium was used: %s", [stick(u.path)]) if {
	some u in input.facts.usb_history
	not lib.num(u.mtime)
}

unknown contains "the list media_register is no list" if not is_array(data.lists.media_register)

unknown contains "Linux does not remember USB media: only those that are plugged in now were seen" if not lib.windows

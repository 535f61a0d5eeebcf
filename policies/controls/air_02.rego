# METADATA
# title: No Wi-Fi or mobile data on the EMS computer
# description: >-
#   Radio links cross walls and locked doors.
# custom:
#   id: MVS-AIR-02
#   severity: critical
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [interfaces]
#   also: [radio_hardware, radio_services, network_profiles]
#   lists: [ems_baseline]
#   maps:
#     cis: ["4.8", "12.2"]
#     cpg1: ["2.X"]
#     cpg2: ["3.I"]
#     csf: ["PR.IR-01"]
#     belfer: ["7"]
#     nist: ["AC-18"]
#     vvsg: ["14.2-C"]
#   remedy: >-
#     Ask the vendor to remove or disable the Wi-Fi card. A small switch or airplane mode is not enough.
package muster.controls.air_02

import data.muster.lib

# By the type of a network card or profile on Windows, by how its name begins on Linux.
wireless := {
	"71": "Wi-Fi", "23": "dial-up", "243": "mobile data", "244": "mobile data",
	"wl": "Wi-Fi", "pp": "dial-up", "ww": "mobile data",
}

since := lib.date(data.lists.ems_baseline.date)

violations contains {"subject": i.name, "found": sprintf("a network card for %s", [wireless[i.type]]), "want": "removed or disabled"} if {
	some i in input.facts.interfaces
}

violations contains {"subject": s.name, "found": "the service for wireless networks runs", "want": "switched off"} if {
	some s in services
	s.status == "RUNNING"
}

violations contains {"subject": h.name, "found": sprintf("a radio (%s) that is switched on", [h.kind]), "want": "removed or disabled"} if {
	some h in radios
	h.blocked == "0"
}

violations contains {"subject": p.name, "found": sprintf("a wireless network that was used on %s", [p.connected]), "want": sprintf("none since the certified build of %s", [since])} if {
	some p in networks
	lib.date(p.connected) > since
}

services := [s | some s in input.facts.radio_services; s.name in {"WlanSvc", "WwanSvc", "wpa_supplicant", "iwd", "ModemManager"}]

radios := [h | some h in input.facts.radio_hardware; h.kind != "bluetooth"]

networks := [p | some p in input.facts.network_profiles; wireless[p.type]]

notes contains sprintf("the computer has hardware for wireless networks: %s", [h.name]) if some h in radios

unknown contains "no network card was seen, not even the computer's own" if count(input.facts.interfaces) == 0

unknown contains sprintf("cannot see what kind of network card this is: %s", [i.name]) if {
	lib.windows
	some i in input.facts.interfaces
	not lib.num(i.type)
}

unknown contains sprintf("cannot see whether %s runs", [s.name]) if {
	some s in services
	not s.status in {"RUNNING", "STOPPED"}
}

unknown contains sprintf("cannot see whether this radio is switched on: %s", [h.name]) if {
	not lib.windows
	some h in radios
	not h.blocked in {"0", "1"}
}

unknown contains sprintf("cannot see what kind of network this was: %s", [p.name]) if {
	lib.windows
	some p in input.facts.network_profiles
	not lib.num(p.type)
}

unknown contains sprintf("cannot see when this wireless network was used: %s", [p.name]) if {
	some p in networks
	not lib.date(p.connected)
}

unknown contains "a wireless network was used, and the list ems_baseline does not say since when none may be" if {
	count(networks) > 0
	not since
}

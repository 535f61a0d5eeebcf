# METADATA
# title: No Bluetooth on the EMS computer
# description: >-
#   Bluetooth can link a phone or keyboard nobody sees.
# custom:
#   id: MVS-AIR-03
#   severity: high
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [radio_services]
#   also: [radio_hardware]
#   maps:
#     cis: ["4.8"]
#     cpg1: ["2.X"]
#     cpg2: ["3.I"]
#     csf: ["PR.IR-01"]
#     belfer: ["7"]
#     nist: ["AC-18"]
#     vvsg: ["14.2-A"]
#   remedy: >-
#     Ask the vendor to turn Bluetooth off in the start-up settings. Use wired keyboards and mice.
package muster.controls.air_03

import data.muster.lib

services := [s | some s in input.facts.radio_services; s.name in {"bthserv", "BTAGService", "bluetoothd"}]

hardware := [h | some h in input.facts.radio_hardware; h.kind == "bluetooth"]

violations contains {"subject": s.name, "found": "the service for Bluetooth runs", "want": "switched off"} if {
	some s in services
	s.status == "RUNNING"
}

violations contains {"subject": h.name, "found": "Bluetooth that is ready for use", "want": "removed or disabled"} if {
	some h in hardware
	ready(h)
}

# Windows starts a service that is not disabled as soon as a device asks for it.
ready(_) if {
	some s in services
	s.start_type in {"AUTO_START", "DEMAND_START"}
}

ready(h) if h.blocked == "0"

notes contains sprintf("the computer has hardware for Bluetooth: %s", [h.name]) if some h in hardware

unknown contains sprintf("cannot see whether %s runs, or may be started", [s.name]) if {
	lib.windows
	some s in services
	[s.status in {"RUNNING", "STOPPED"}, s.start_type in {"AUTO_START", "DEMAND_START", "DISABLED"}] != [true, true]
}

unknown contains sprintf("cannot see whether this radio is switched on: %s", [h.name]) if {
	not lib.windows
	some h in hardware
	not h.blocked in {"0", "1"}
}

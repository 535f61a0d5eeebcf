# METADATA
# title: The computer starts only trusted software
# description: >-
#   Secure Boot keeps malware from hiding below Windows.
# custom:
#   id: MVS-BOOT-01
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [firmware, hardware]
#   also: [secureboot]
#   lists: [ems_baseline]
#   maps:
#     cis: ["4.1"]
#     cpg1: ["2.O"]
#     cpg2: ["3.N"]
#     csf: ["PR.PS-01"]
#     belfer: ["7"]
#     nist: ["SI-7(9)"]
#     vvsg: ["14.3.1-A"]
#   remedy: >-
#     Ask IT to turn on Secure Boot in the computer's start-up settings. Back up first, because a few old machines need changes to start again.
package muster.controls.boot_01

import data.muster.lib

legacy if {
	some f in input.facts.firmware
	lower(f.firmware_type) == "bios"
}

violations contains {"subject": "firmware", "found": "legacy start (BIOS)", "want": "UEFI with Secure Boot"} if legacy

violations contains {"subject": "Secure Boot", "found": "off", "want": "on"} if {
	some s in input.facts.secureboot
	s.secure_boot == "0"
	not legacy
}

violations contains {"subject": "Secure Boot", "found": "in setup mode: anyone can change its keys", "want": "out of setup mode"} if {
	some s in input.facts.secureboot
	s.setup_mode == "1"
}

unknown contains "the firmware does not say whether Secure Boot is on" if {
	not legacy
	count([s | some s in input.facts.secureboot; s.secure_boot in {"0", "1"}; s.setup_mode in {"0", "1"}]) == 0
}

inapplicable contains reason if some reason in lib.virtual

inapplicable contains "the certified build starts without Secure Boot" if {
	lib.ems
	data.lists.ems_baseline.legacy_boot == true
}

# METADATA
# title: The disk is encrypted
# description: >-
#   A stolen laptop with voter records is a breach you must report; an encrypted one usually is not.
# custom:
#   id: MVS-ENC-01
#   severity: critical
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [disk_encryption, disk_space]
#   lists: [ems_baseline]
#   maps:
#     cis: ["3.6", "3.11"]
#     cpg1: ["2.L"]
#     cpg2: ["3.K"]
#     csf: ["PR.DS-01"]
#     belfer: ["7"]
#     nist: ["SC-28"]
#   remedy: >-
#     Ask IT to switch on BitLocker and to store the recovery key with the county, not on the computer. Do not switch it on yourself on an election management computer without the vendor.
#   remedies:
#     linux: >-
#       Ask IT to set this computer up anew with an encrypted disk (LUKS) and to store the recovery key with the county, not on the computer. Do not change an election management computer without the vendor.
package muster.controls.enc_01

import data.muster.lib

encrypted(v) if {
	v.protection_status == "1"
	v.conversion_status == "1"
	lower(v.encryption_method) != "none"
}

protection := {"0": "off", "1": "on"}

conversion := {
	"0": "not encrypted", "1": "fully encrypted", "2": "being encrypted",
	"3": "being decrypted", "4": "encryption has stopped", "5": "decryption has stopped",
}

# protection_status can be a remembered value, so it never decides alone.
unreadable(v) if not protection[v.protection_status]

unreadable(v) if not conversion[v.conversion_status]

unreadable(v) if lower(v.encryption_method) in {"", "unknown"}

volumes := [v |
	some v in input.facts.disk_encryption
	v.drive_letter != ""
	not v.drive_letter in lib.removable
]

violations contains {"subject": v.drive_letter, "found": sprintf("protection is %s, %s (%s)", [protection[v.protection_status], conversion[v.conversion_status], v.encryption_method]), "want": "fully encrypted, protection on"} if {
	lib.windows
	some v in volumes
	not encrypted(v)
	not unreadable(v)
}

violations contains {"subject": m.path, "found": sprintf("%s is not encrypted", [m.device]), "want": "encrypted"} if {
	not lib.windows
	some m in input.facts.disk_encryption
	m.encrypted == "0"
}

unknown contains sprintf("the state of %s cannot be read", [v.drive_letter]) if {
	lib.windows
	some v in volumes
	unreadable(v)
}

unknown contains sprintf("no answer about the encryption of %s", [d.volume]) if {
	lib.windows
	some d in input.facts.disk_space
	not d.volume in lib.removable
	not d.volume in {v.drive_letter | some v in volumes}
}

unknown contains sprintf("no answer about the encryption of %s (%s)", [m.path, m.device]) if {
	not lib.windows
	some m in input.facts.disk_encryption
	not m.encrypted in {"0", "1"}
}

unknown contains "no drive was seen" if {
	lib.windows
	count(volumes) == 0
}

unknown contains "no drive was seen" if {
	not lib.windows
	not "/" in {m.path | some m in input.facts.disk_encryption}
}

inapplicable contains "the certified build does not allow encryption" if {
	lib.ems
	data.lists.ems_baseline.encryption == false
}

# METADATA
# title: A recent restore point or snapshot exists
# description: >-
#   A quick way back after a bad update or an accident.
# custom:
#   id: MVS-BAK-02
#   severity: low
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [root_filesystem, {any: [root_filesystem, shadow_copies]}]
#   also: [shadow_copies]
#   maps:
#     cis: ["11.2"]
#     cpg1: ["2.R"]
#     cpg2: ["3.O"]
#     csf: ["PR.DS-11"]
#     belfer: ["8"]
#     nist: ["CP-9"]
#   remedy: >-
#     Turn on System Protection for drive C and create a restore point. Remember that this does not replace a backup.
#   remedies:
#     linux: >-
#       Ask IT to let the computer make snapshots by itself, for example with snapper or Timeshift. Remember that this does not replace a backup.
package muster.controls.bak_02

import data.muster.lib

# Copies of other drives do not bring the system back.
snapshots contains s if {
	some s in input.facts.shadow_copies
	not lib.windows
}

snapshots contains s if {
	lib.windows
	some s in input.facts.shadow_copies
	regex.match(`^[cC]:\\?$`, s.volume)
}

fresh contains s if {
	some s in snapshots
	at := lib.num(s.created) * 1000000000
	at > lib.now_ns - (14 * lib.day)
	at < lib.now_ns + lib.day
}

violations contains {"subject": "system", "found": "no restore point or snapshot of the last 14 days", "want": "one at most 14 days old"} if {
	input.facts.shadow_copies
	count(fresh) == 0
	count(odd) == 0
}

odd contains s.created if {
	some s in snapshots
	not dated(s)
}

# 0 is when nobody wrote it down.
dated(s) if {
	lib.num(s.created) > 0
	lib.num(s.created) * 1000000000 < lib.now_ns + lib.day
}

unknown contains "the age of a snapshot cannot be read" if {
	count(fresh) == 0
	count(odd) > 0
}

inapplicable contains sprintf("the file system (%s) makes no snapshots", [concat(", ", types)]) if {
	not lib.windows
	count(types) > 0
	types & {"btrfs", "zfs", "LVM2_member"} == set()
}

types contains f.type if some f in input.facts.root_filesystem

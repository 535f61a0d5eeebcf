# METADATA
# title: A backup ran in the last 7 days and a restore was tested this year
# description: >-
#   With a good backup, ransomware costs a day and not an election.
# custom:
#   id: MVS-BAK-01
#   severity: critical
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [backup_events]
#   lists: [attestations]
#   maps:
#     cis: ["11.2", "11.5"]
#     cpg1: ["2.R"]
#     cpg2: ["3.O"]
#     csf: ["PR.DS-11"]
#     belfer: ["8"]
#     nist: ["CP-9"]
#     vvsg: ["14.1-D"]
#   remedy: >-
#     Connect the backup disk or open the backup program and run a backup now. Once a year, restore one folder to prove that it works.
package muster.controls.bak_01

import data.muster.lib

successes contains at if {
	some b in input.facts.backup_events
	at := lib.num(b.last_success) * 1000000000
	at > 0
	at < lib.now_ns + lib.day
}

violations contains {"subject": "backup", "found": sprintf("the last one that succeeded was on %s", [time.format([max(successes), "UTC", "2006-01-02"])]), "want": "at most 7 days ago"} if {
	max(successes) < lib.now_ns - (7 * lib.day)
}

violations contains {"subject": b.unit, "found": "no backup succeeded within a year", "want": "at most 7 days ago"} if {
	lib.windows
	some b in input.facts.backup_events
	b.last_success == "0"
}

unknown contains "it is not known when a backup last succeeded" if {
	count(input.facts.backup_events) > 0
	count(successes) == 0
}

tested := date if {
	date := data.lists.attestations.restore_tested_on
	regex.match(`^[0-9]{4}-[01][0-9]-[0-3][0-9]`, date)
	lib.day_ns(date) < lib.now_ns + lib.day
}

violations contains {"subject": "restore", "found": sprintf("last tested on %s", [tested]), "want": "at most 365 days ago"} if {
	lib.day_ns(tested) < lib.now_ns - (365 * lib.day)
}

unknown contains "nobody has attested that a restore was tested (restore_tested_on)" if not tested

notes contains "no backup program was seen: that there are backups is only the county's word" if count(input.facts.backup_events) == 0

notes contains "during an election, back up within 24 hours of every change: that cannot be seen from here" if lib.ems

# METADATA
# title: The computer records sign-ins and account changes
# description: >-
#   After an incident the log is the only witness, and officials may have to show it in court.
# custom:
#   id: MVS-LOG-01
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [{any: [audit_subcategories, audit_policy]}, audit_daemon, journal]
#   maps:
#     cis: ["8.2", "8.5"]
#     cpg1: ["2.T"]
#     cpg2: ["3.Q"]
#     csf: ["PR.PS-04"]
#     belfer: ["8"]
#     nist: ["AU-2", "AU-12"]
#     vvsg: ["15.1-D"]
#   remedy: >-
#     Ask IT to apply the recommended audit policy with one command or policy. It costs no money and little space.
#   remedies:
#     linux: >-
#       Ask IT to install auditd and to switch it on. It costs no money and little space.
package muster.controls.log_01

import data.muster.lib

violations contains gap if some gap in lib.audit_gaps

unknown contains reason if some reason in lib.audit_unknown

notes contains sprintf("%s records were lost, because they came too fast", [a.lost]) if {
	some a in input.facts.audit_daemon
	lib.num(a.lost) > 0
}

# METADATA
# title: The system protects stored passwords and itself
# description: >-
#   Stops a thief who got into one account from taking everyone's passwords out of memory.
# custom:
#   id: MVS-ACC-10
#   severity: medium
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [lsa, {any: [deviceguard, lsa]}]
#   maps:
#     cis: ["10.5"]
#     cpg1: ["2.L"]
#     cpg2: ["3.H"]
#     csf: ["PR.PS-01"]
#     belfer: ["6"]
#     nist: ["SC-39", "AC-3(3)"]
#     vvsg: ["14.2-H"]
#   remedy: >-
#     Ask IT to turn on memory integrity and LSA protection in Windows Security, Device security. Restart the computer afterwards.
#   remedies:
#     linux: >-
#       Ask IT to have AppArmor or SELinux switched on and enforcing. Restart the computer afterwards.
package muster.controls.acc_10

import data.muster.lib

ppl := lib.setting(input.facts.lsa, "runasppl")

guarded if ppl in {"1", "2"}

guarded if {
	some d in input.facts.deviceguard
	"CREDENTIAL_GUARD" in regex.split(`,\s*`, d.running)
}

violations contains {"subject": "stored passwords", "found": "neither LSA protection nor Credential Guard is on", "want": "one of the two"} if {
	lib.windows
	not guarded
	ppl in {"0", "absent"}
	some d in input.facts.deviceguard
	not d.running in {"", "UNKNOWN"}
}

unknown contains "whether stored passwords are guarded cannot be read" if {
	lib.windows
	not guarded
}

# Absent means 0 since Windows 8.1.
wdigest := lib.setting(input.facts.lsa, "uselogoncredential")

violations contains {"subject": "UseLogonCredential", "found": "passwords stay in memory in clear text", "want": "0, or not there"} if {
	wdigest == "1"
}

unknown contains "UseLogonCredential cannot be read" if {
	lib.windows
	not wdigest in {"0", "1", "absent"}
}

confined if {
	some l in input.facts.lsa
	[l.lsm, l.value] in {["apparmor", "enforce"], ["selinux", "1"]}
}

violations contains {"subject": "AppArmor and SELinux", "found": "neither keeps programs in their bounds", "want": "one of the two, enforcing"} if {
	not lib.windows
	not confined
	"list" in {l.lsm | some l in input.facts.lsa}
}

unknown contains "what the kernel says of AppArmor and SELinux cannot be seen" if {
	not lib.windows
	not confined
}

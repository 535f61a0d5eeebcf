# METADATA
# title: A security chip (TPM 2.0) is present and on
# description: >-
#   The chip protects the disk key, and Windows 11 needs it.
# custom:
#   id: MVS-BOOT-02
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [tpm, hardware]
#   maps:
#     cis: ["3.6"]
#     cpg1: ["2.L"]
#     cpg2: ["3.K"]
#     csf: ["PR.DS-01"]
#     belfer: ["7"]
#     nist: ["SC-28(3)", "IA-3"]
#     vvsg: ["14.3.1-A"]
#   remedy: >-
#     Ask IT to switch on the TPM, called PTT or fTPM, in the start-up settings. Plan to replace computers that do not have one.
package muster.controls.boot_02

import data.muster.lib

want := "TPM 2.0, on and activated"

violations contains {"subject": "TPM", "found": "none", "want": want} if count(input.facts.tpm) == 0

violations contains {"subject": "TPM", "found": sprintf("%s is %s", [column, t[column]]), "want": want} if {
	lib.windows
	some t in input.facts.tpm
	some column in ["enabled", "activated"]
	t[column] == "0"
}

violations contains {"subject": "TPM", "found": sprintf("version %s", [t.spec_version]), "want": want} if {
	lib.windows
	some t in input.facts.tpm
	t.spec_version != ""
	not startswith(t.spec_version, "2.0")
}

violations contains {"subject": "TPM", "found": "older than 2.0", "want": want} if {
	not lib.windows
	paths := {t.path | some t in input.facts.tpm}
	count(paths) > 0
	not "/dev/tpmrm0" in paths
}

unknown contains "the TPM does not say what state it is in" if {
	lib.windows
	some t in input.facts.tpm
	[t.enabled in {"0", "1"}, t.activated in {"0", "1"}, t.spec_version != ""] != [true, true, true]
}

inapplicable contains reason if some reason in lib.virtual

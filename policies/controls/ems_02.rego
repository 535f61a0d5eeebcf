# METADATA
# title: The EMS program files match the trusted build
# description: >-
#   Matching fingerprints show that the software is the one that was tested and certified.
# custom:
#   id: MVS-EMS-02
#   severity: critical
#   profiles: [ems]
#   platforms: [windows, linux]
#   facts: [trusted_files]
#   lists: [manifest]
#   maps:
#     cis: ["2.5"]
#     cpg1: ["2.Q"]
#     cpg2: ["3.N"]
#     csf: ["PR.DS-01"]
#     belfer: ["9"]
#     nist: ["SI-7(1)", "CM-14"]
#     vvsg: ["14.3.2-B"]
#   remedy: >-
#     Stop using this computer for the election and call the vendor with the list of files. The usual remedy is a fresh installation from the trusted build.
package muster.controls.ems_02

import data.muster.lib

seen[lib.folded(f.path)] := f if some f in input.facts.trusted_files

listed := {lib.folded(m.path) | some m in data.lists.manifest}

violations contains {"subject": m.path, "found": "missing", "want": "as in the trusted build"} if {
	some m in data.lists.manifest
	count(seen) > 0
	not seen[lib.folded(m.path)]
}

violations contains {"subject": m.path, "found": sprintf("SHA-256 %s", [f.sha256]), "want": sprintf("SHA-256 %s", [m.sha256])} if {
	some m in data.lists.manifest
	f := seen[lib.folded(m.path)]
	f.sha256 != ""
	lower(f.sha256) != lower(m.sha256)
}

violations contains {"subject": m.path, "found": sprintf("%s bytes", [f.size]), "want": sprintf("%v bytes", [m.size])} if {
	some m in data.lists.manifest
	f := seen[lib.folded(m.path)]
	lib.num(f.size) != to_number(m.size)
}

violations contains {"subject": f.path, "found": "a program that is not in the trusted build", "want": "removed"} if {
	some path, f in seen
	not path in listed
	program(f)
}

program(f) if regex.match(`\.(exe|dll|sys|ps1|bat|cmd|com|scr|cpl|ocx|vbs|hta|jar|msi|so(\.[0-9.]+)?|sh|py)$`, lower(f.path))

# On Linux a name says little: whatever somebody may execute is a program.
program(f) if regex.match(`[1357][0-7]{0,2}$`, f.mode)

unknown contains sprintf("%s could not be read in full", [m.path]) if {
	some m in data.lists.manifest
	seen[lib.folded(m.path)].sha256 == ""
}

# The folder stands in the fact, and the fact may be that of another system.
unknown contains "no file was seen where the fact trusted_files looks: it has to name the folder of your voting system" if count(seen) == 0

unknown contains "the list manifest is empty" if count(listed) == 0

unknown contains "the list manifest has an entry without path or SHA-256" if {
	some m in data.lists.manifest
	not complete(m)
}

complete(m) if {
	m.path != ""
	regex.match(`^[0-9A-Fa-f]{64}$`, m.sha256)
}

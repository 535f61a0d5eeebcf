# METADATA
# title: The old file sharing protocol SMB version 1 is off
# description: >-
#   WannaCry and similar worms used SMBv1 to run through whole counties.
# custom:
#   id: MVS-NET-05
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [smb1, smb_settings, samba, {any: [smb_settings, software]}]
#   maps:
#     cis: ["4.8"]
#     cpg1: ["2.W"]
#     cpg2: ["3.S"]
#     csf: ["PR.PS-01"]
#     belfer: ["7"]
#     nist: ["CM-7"]
#     vvsg: ["14.2-A"]
#   remedy: >-
#     Ask IT to remove the Windows feature named SMB 1.0/CIFS File Sharing Support. Old copiers that still need it should be replaced or isolated.
#   remedies:
#     linux: >-
#       Ask IT to let Samba speak SMB 2 at the least (server min protocol = SMB2), or to remove it. Old copiers that still need version 1 should be replaced or isolated.
package muster.controls.net_05

import data.muster.lib

# Windows: the feature, the server's switch, the client's driver. State 1 is on, 2
# off, 3 not there.
violations contains {"subject": f.name, "found": "switched on", "want": "off"} if {
	lib.windows
	some f in features
	f.state == "1"
}

features := [f | some f in input.facts.smb1; regex.match(`(?i)^(smb1protocol|fs-smb1)`, f.name)]

unknown contains sprintf("the state of %s cannot be read", [f.name]) if {
	lib.windows
	some f in features
	not f.state in {"1", "2", "3"}
}

unknown contains "no optional feature of Windows was seen at all" if {
	lib.windows
	count(input.facts.smb1) == 0
}

setting(name) := lib.setting(input.facts.smb_settings, name)

off := {"smb1": {"0", "absent"}, "start": {"4", "absent"}}

violations contains {"subject": object.get({"start": "driver mrxsmb10"}, name, "LanmanServer"), "found": sprintf("%s = %s", [name, setting(name)]), "want": concat(" or ", sort(values))} if {
	lib.windows
	some name, values in off
	not setting(name) in values
	regex.match(`^[0-9]+$`, setting(name))
}

unknown contains sprintf("%s says %q", [name, setting(name)]) if {
	lib.windows
	some name, values in off
	not setting(name) in values
	not regex.match(`^[0-9]+$`, setting(name))
}

notes contains "files are shared without signatures (RequireSecuritySignature is not 1)" if {
	lib.windows
	setting("requiresecuritysignature") != "1"
}

# Linux: what Samba says, or does since 4.11 where it says nothing.
serves if count(input.facts.samba) > 0

said := {upper(r.data) | some r in input.facts.smb_settings; r.name in {"serverminprotocol", "minprotocol"}}

old := {"CORE", "COREPLUS", "LANMAN1", "LANMAN2", "NT1"}

violations contains {"subject": "Samba", "found": sprintf("server min protocol = %s", [protocol]), "want": "SMB2 or later"} if {
	not lib.windows
	serves
	some protocol in (said & old)
}

unknown contains sprintf("Samba's server min protocol is %q", [protocol]) if {
	not lib.windows
	serves
	some protocol in (said - old)
	not regex.match(`^SMB[23](_[0-9]{2})?$`, protocol)
}

# 4.11 is 4011.
versions contains (1000 * to_number(found[1])) + to_number(found[2]) if {
	some found in regex.find_all_string_submatch_n(`(?m)^samba (?:[0-9]+:)?([0-9]+)\.([0-9]+)`, concat("\n", lib.programs), -1)
}

violations contains {"subject": "Samba", "found": "a version before 4.11, which speaks SMB 1 unless told otherwise", "want": "server min protocol = SMB2"} if {
	not lib.windows
	serves
	count(said) == 0
	min(versions) < 4011
}

unknown contains "Samba is there, and its version and with it what it does by itself cannot be seen" if {
	not lib.windows
	serves
	count(said) == 0
	count(versions) == 0
}

unknown contains sprintf("Samba's settings are partly elsewhere (%s = %s)", [r.name, r.data]) if {
	not lib.windows
	serves
	some r in input.facts.smb_settings
	r.name in {"include", "configbackend"}
}

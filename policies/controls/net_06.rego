# METADATA
# title: The computer does not trust names shouted on the local network
# description: >-
#   LLMNR, NetBIOS and mDNS answers can be faked to steal passwords inside the office.
# custom:
#   id: MVS-NET-06
#   severity: medium
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [name_resolution]
#   maps:
#     cis: ["4.8"]
#     cpg1: ["2.W"]
#     cpg2: ["3.I"]
#     csf: ["PR.PS-01"]
#     belfer: ["7"]
#     nist: ["SC-20", "CM-7"]
#   remedy: >-
#     Ask IT to turn off LLMNR and NetBIOS through policy. Test that printers still work afterwards.
#   remedies:
#     linux: >-
#       Ask IT to stop the services that answer such names (LLMNR in systemd-resolved, avahi-daemon, nmbd). Test that printers still work afterwards.
package muster.controls.net_06

import data.muster.lib

rows := input.facts.name_resolution

multicast := {r.data | some r in rows; lower(r.name) == "enablemulticast"; contains(lower(r.key), "policies")}

violations contains {"subject": "LLMNR", "found": "on", "want": "EnableMulticast = 0 by policy"} if {
	lib.windows
	multicast - {"1"} == set()
}

unknown contains sprintf("the policy for LLMNR says EnableMulticast = %q", [value]) if {
	lib.windows
	some value in (multicast - {"0", "1"})
}

netbios_off if lib.setting(rows, "enablenetbios") in {"0", "2"}

# Each interface has 0, and beside it what it says itself.
netbios[interface] contains r.data if {
	some r in rows
	lower(r.name) == "netbiosoptions"
	interface := lib.basename(r.key)
	not netbios_off
}

violations contains {"subject": "NetBIOS", "found": sprintf("NetbiosOptions = %s on %s", [max(said), interface]), "want": "NetbiosOptions = 2 on every interface"} if {
	lib.windows
	some interface, said in netbios
	max(said) in {"0", "1"}
}

unknown contains sprintf("%s says NetbiosOptions = %q", [interface, max(said)]) if {
	lib.windows
	some interface, said in netbios
	not max(said) in {"0", "1", "2"}
}

unknown contains "no network interface says whether it uses NetBIOS" if {
	lib.windows
	count(netbios) == 0
	not netbios_off
}

# On Linux a port tells who answers.
violations contains {"subject": "LLMNR", "found": sprintf("port 5355 is open (%s)", [r.name]), "want": "LLMNR=no"} if {
	not lib.windows
	some r in rows
	r.port == "5355"
}

violations contains {"subject": "NetBIOS", "found": sprintf("port 137 is open (%s)", [r.name]), "want": "nmbd stopped"} if {
	not lib.windows
	some r in rows
	r.port == "137"
}

violations contains {"subject": "mDNS", "found": "avahi-daemon is running", "want": "avahi-daemon stopped"} if {
	not lib.windows
	some r in rows
	r.port == "5353"
	startswith(r.name, "avahi")
}

notes contains sprintf("mDNS answers on port 5353 (%s)", [r.name]) if {
	not lib.windows
	some r in rows
	r.port == "5353"
	not startswith(r.name, "avahi")
	r.name != ""
}

unknown contains "cannot see which program answers mDNS on port 5353" if {
	not lib.windows
	some r in rows
	r.port == "5353"
	r.name == ""
}

notes contains "mDNS is not switched off" if {
	lib.windows
	not "0" in lib.values(rows, "enablemdns")
}

# METADATA
# title: No unapproved certificate is trusted
# description: >-
#   A planted root certificate lets an attacker pretend to be any secure site.
# custom:
#   id: MVS-NET-11
#   severity: medium
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [root_certs]
#   lists: [root_ca_allowed]
#   maps:
#     cis: ["4.1"]
#     cpg1: ["2.K"]
#     cpg2: ["3.K"]
#     csf: ["PR.DS-02"]
#     belfer: ["7"]
#     nist: ["SC-17", "SC-23"]
#   remedy: >-
#     Ask IT which product added the certificate shown. If nobody can explain it, have it removed and have the computer examined.
package muster.controls.net_11

import data.muster.lib

fingerprint(text) := upper(regex.replace(text, `[:\s]`, ""))

allowed := {fingerprint(sha1) | some sha1 in data.lists.root_ca_allowed}

readable(c) if regex.match(`^[0-9A-F]{40}$`, fingerprint(c.sha1))

violations contains {"subject": c.name, "found": sprintf("trusted (%s, %s)", [fingerprint(c.sha1), c.path]), "want": "on the list root_ca_allowed, or removed"} if {
	some c in input.facts.root_certs
	readable(c)
	not fingerprint(c.sha1) in allowed
}

unknown contains sprintf("the certificate %s (%s) cannot be read", [c.name, c.path]) if {
	some c in input.facts.root_certs
	not readable(c)
}

# Windows always trusts some; what a Linux distribution brings is not asked.
unknown contains "no trusted certificate was seen at all" if {
	lib.windows
	count(input.facts.root_certs) == 0
}

unknown contains "the list root_ca_allowed names no certificate" if not lib.named(data.lists.root_ca_allowed)

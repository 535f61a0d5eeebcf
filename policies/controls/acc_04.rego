# METADATA
# title: Passwords must be long
# description: >-
#   Short passwords are guessed in minutes.
# custom:
#   id: MVS-ACC-04
#   severity: high
#   profiles: [workstation, ems]
#   platforms: [windows, linux]
#   facts: [security_profile, lsa, password_rules]
#   maps:
#     cis: ["5.2"]
#     cpg1: ["2.B"]
#     cpg2: ["3.B"]
#     csf: ["PR.AA-01"]
#     belfer: ["5"]
#     nist: ["IA-5"]
#     vvsg: ["11.3.2-B"]
#   remedy: >-
#     Set the minimum password length to at least fourteen characters and suggest a short sentence as a password. A password manager makes this easy for staff.
package muster.controls.acc_04

import data.muster.lib

least := 14

# The shortest password that is let through, by what lets it through.
shortest["the password policy"] := lib.num(p.minimum_password_length) if some p in input.facts.security_profile

shortest[source] := max([n | some line in lines; n := length(line)]) if {
	not lib.windows
	some source, lines in lib.pam("password")
	not foreign(lines)
}

# Without pwquality PAM asks for six characters.
length(line) := lib.argument(line, "minlen", "6") if contains(line, "pam_unix.so")

length(line) := lib.argument(line, "minlen", lib.rule("pwquality", "minlen", "8")) if {
	pwquality(line)
	lib.rule("pwquality", "enforcing", "1") != "0"
}

pwquality(line) if regex.match(`^(requi|\[).*pam_pwquality\.so`, line)

# These count in ways of their own, or what they count to is no number.
foreign(lines) if {
	some line in lines
	regex.match(`pam_(cracklib|passwdqc)\.so`, line)
}

foreign(lines) if {
	some line in lines
	pwquality(line)
	not lib.num(lib.rule("pwquality", "minlen", "8"))
}

violations contains {"subject": where, "found": sprintf("%d characters are enough", [max({n, 0})]), "want": sprintf("at least %d characters", [least])} if {
	some where, n in shortest
	n < least
}

violations contains {"subject": "stored passwords", "found": "can be turned back into clear text", "want": "kept as hashes only"} if {
	"1" in {p.clear_text_password | some p in input.facts.security_profile}
}

# Absent means 1.
blank := lib.setting(input.facts.lsa, "limitblankpassworduse")

violations contains {"subject": "accounts without a password", "found": "may sign in over the network", "want": "LimitBlankPasswordUse is 1"} if {
	blank == "0"
}

unknown contains "the password policy cannot be read" if {
	lib.windows
	not shortest["the password policy"]
}

unknown contains "whether passwords are kept in clear text cannot be read" if {
	some p in input.facts.security_profile
	not p.clear_text_password in {"0", "1"}
}

unknown contains "LimitBlankPasswordUse cannot be read" if {
	lib.windows
	not blank in {"0", "1", "absent"}
}

unknown contains sprintf("%s does not say how long a password must be", [source]) if {
	not lib.windows
	some source, _ in lib.pam("password")
	not shortest[source]
}

unknown contains "no rules of PAM for passwords were seen" if {
	not lib.windows
	count(lib.pam("password")) == 0
}

notes contains sprintf("%d characters pass here; CISA's goals ask for 15 (CPG 1.0.1) and 16 (CPG 2.0)", [n]) if {
	some n in shortest
	n in {14, 15}
}

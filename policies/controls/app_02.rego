# METADATA
# title: Office macros from the internet cannot run
# description: >-
#   A fake absentee ballot form with a macro is a classic trick.
# custom:
#   id: MVS-APP-02
#   severity: high
#   profiles: [workstation]
#   platforms: [windows]
#   facts: [office_macros, software, logged_in]
#   maps:
#     cis: ["4.1"]
#     cpg1: ["2.N"]
#     cpg2: ["3.M"]
#     csf: ["PR.PS-01"]
#     belfer: ["6"]
#     nist: ["CM-7", "SC-18"]
#   remedy: >-
#     Ask IT to block macros in files from the internet for Word, Excel and PowerPoint. If one form needs a macro, sign that form instead of opening the door for all.
package muster.controls.app_02

import data.muster.lib

office contains program if {
	some program in lib.programs
	regex.match(`(?i)^microsoft (office|365|word|excel|powerpoint)`, program)
	not regex.match(`(?i)^microsoft 365 copilot`, program)
}

# Builds of Microsoft 365 that block macros from the internet by themselves.
blocking if {
	some program in office
	build := regex.find_all_string_submatch_n(`(?i)^microsoft (?:office )?365 .* 16\.0\.([0-9]+)\.[0-9]+$`, program, 1)[0][1]
	to_number(build) >= 15601
}

# Not the hives of Windows itself, nor the second one that people have.
person(sid) if regex.match(`^s-1-(5-21|12-1)-[0-9-]+$`, sid)

people[sid] contains u.user if {
	some u in input.facts.logged_in
	sid := lower(u.sid)
	person(sid)
}

settings contains {"of": [parts[1], parts[count(parts) - 2]], "key": r.key, "name": r.name, "data": r.data} if {
	some r in input.facts.office_macros
	parts := split(lower(r.key), `\`)
	person(parts[1])
}

programs := {[sid, program] | some sid, _ in people; some program in ["word", "excel", "powerpoint"]} | {s.of | some s in settings}

value(of, name) := lib.setting([s | some s in settings; s.of == of], name)

blocked(of) if value(of, "blockcontentexecutionfrominternet") == "1"

blocked(of) if value(of, "vbawarnings") in {"3", "4"}

odd contains s if {
	some s in settings
	not s.data in {"vbawarnings": {"1", "2", "3", "4"}, "blockcontentexecutionfrominternet": {"0", "1"}}[s.name]
}

subject(of) := sprintf("%s of %s", [of[1], concat(", ", object.get(people, of[0], {of[0]}))])

violations contains {"subject": subject(s.of), "found": "every macro runs", "want": "macros from the internet are blocked"} if {
	some s in settings
	s.name == "vbawarnings"
	s.data == "1"
}

violations contains {"subject": subject(of), "found": "nothing stops macros in files from the internet", "want": "macros from the internet are blocked"} if {
	some of in programs
	not blocked(of)
	not usual(of)
	not of in {s.of | some s in odd}
}

usual(of) if {
	blocking
	value(of, "blockcontentexecutionfrominternet") == "absent"
}

unknown contains sprintf("a macro setting of %s cannot be read", [subject(s.of)]) if some s in odd

unknown contains "nobody is signed in, so nobody's settings can be read" if count(people) == 0

unknown contains "no installed program was seen at all" if count(lib.programs) == 0

notes contains "nobody set it: this version of Microsoft 365 blocks macros from the internet by itself" if {
	some of in programs
	not blocked(of)
	usual(of)
}

inapplicable contains "Microsoft Office is not installed" if {
	count(lib.programs) > 0
	count(office) == 0
}

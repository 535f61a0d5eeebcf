package muster.controls.app_02_test

import data.muster.controls.app_02

sid := "S-1-5-21-1-2-3-1001"

current := "Microsoft 365 Apps for business - en-us 16.0.19929.20136"

old := "Microsoft Office Professional Plus 2016 16.0.4266.1001"

policies := `Software\Policies\Microsoft\Office`

cloud := `Software\Policies\Microsoft\Cloud\Office`

own := `Software\Microsoft\Office`

set(where, program, name, value) := {"key": sprintf(`HKEY_USERS\%s\%s\16.0\%s\Security`, [sid, where, program]), "name": name, "data": value}

block(where, value) := [set(where, program, "blockcontentexecutionfrominternet", value) | some program in ["Word", "excel", "PowerPoint"]]

vba(where, value) := [set(where, program, "vbawarnings", value) | some program in ["Word", "excel", "PowerPoint"]]

host(programs, users, rows) := {
	"host": {"platform": "windows"},
	"facts": {
		"software": [{"program": program} | some program in programs],
		"logged_in": [{"user": user, "sid": id} | some user, id in users],
		"office_macros": rows,
	},
}

clerk := {"mrivera": sid}

test_pass if {
	every rows in [block(policies, "1"), block(cloud, "1"), block(own, "1"), vba(policies, "3"), vba(own, "4"), array.concat(block(policies, "1"), block(own, "0"))] {
		h := host([old], clerk, rows)
		count(app_02.violations) == 0 with input as h
		count(app_02.unknown) == 0 with input as h
		count(app_02.notes) == 0 with input as h
		count(app_02.inapplicable) == 0 with input as h
	}
}

test_pass_with_a_note_where_365_blocks_by_itself if {
	every rows in [[], vba(own, "2")] {
		h := host([current], clerk, rows)
		count(app_02.violations) == 0 with input as h
		count(app_02.unknown) == 0 with input as h
		count(app_02.notes) == 1 with input as h
	}
}

test_fail_every_macro if {
	h := host([current], clerk, array.concat(block(policies, "1"), [set(own, "Excel", "vbawarnings", "1")]))
	app_02.violations == {{"subject": "excel of mrivera", "found": "every macro runs", "want": "macros from the internet are blocked"}} with input as h
	count(app_02.notes) == 0 with input as h
}

test_fail_absent_in_old_office if {
	count(app_02.violations) == 3 with input as host([old], clerk, [])
	count(app_02.violations) == 3 with input as host(["Microsoft 365 Apps for business - en-us 16.0.15600.20136"], clerk, [])
	count(app_02.violations) == 3 with input as host([old], clerk, vba(own, "2"))
	count(app_02.notes) == 0 with input as host([old], clerk, [])
	{v.subject | some v in app_02.violations} == {"powerpoint of mrivera"} with input as host([old], clerk, array.slice(block(own, "1"), 0, 2))
}

test_fail_the_block_is_switched_off if {
	count(app_02.violations) == 3 with input as host([current], clerk, block(policies, "0"))
	count(app_02.violations) == 3 with input as host([current], clerk, array.concat(block(policies, "0"), block(own, "1")))
}

# Every person counts, named or not, and so does every program that has settings.
test_fail_one_of_several if {
	others := [object.union(r, {"key": replace(r.key, sid, "S-1-12-1-9-9")}) | some r in block(own, "0")]
	{v.subject | some v in app_02.violations} == {"word of s-1-12-1-9-9", "excel of s-1-12-1-9-9", "powerpoint of s-1-12-1-9-9"} with input as host([old], clerk, array.concat(block(own, "1"), others))
	visio := [set(own, "Visio", "blockcontentexecutionfrominternet", "0")]
	{v.subject | some v in app_02.violations} == {"visio of mrivera"} with input as host([old], clerk, array.concat(block(own, "1"), visio))
}

test_unknown_odd_values if {
	every rows in [[set(own, "Word", "vbawarnings", "")], [set(own, "Word", "vbawarnings", "5")], [set(policies, "Word", "blockcontentexecutionfrominternet", "yes")]] {
		h := host([current], clerk, rows)
		count(app_02.violations) == 0 with input as h
		count(app_02.unknown) == 1 with input as h
	}
}

# The hives of Windows itself, and the second one of each person, are nobody's.
test_unknown_nobody_signed_in if {
	every id in ["S-1-5-18", "", "S-1-5-21-1-2-3-1001_Classes"] {
		row := {"key": concat(`\`, ["HKEY_USERS", id, `Software\Microsoft\Office\16.0\Word\Security`]), "name": "vbawarnings", "data": "1"}
		h := host([current], {"x": id}, [row])
		count(app_02.violations) == 0 with input as h
		count(app_02.unknown) == 1 with input as h
	}
}

test_unknown_no_program_seen if {
	h := host([], clerk, block(own, "1"))
	count(app_02.unknown) == 1 with input as h
	count(app_02.inapplicable) == 0 with input as h
}

test_inapplicable_without_office if {
	every program in ["LibreOffice 7.5", "Microsoft 365 Copilot 1.0", "My Microsoft Office Helper 1"] {
		count(app_02.inapplicable) == 1 with input as host([program], clerk, [])
	}
	count(app_02.inapplicable) == 0 with input as host([current, "LibreOffice 7.5"], clerk, [])
}

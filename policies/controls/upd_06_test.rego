package muster.controls.upd_06_test

import data.muster.controls.upd_06

lists := {
	"unsupported_software": ["Microsoft Office* 2016*", "python2"],
	"ems_baseline": {"software": [{"name": "Microsoft Office Standard 2016", "version": "16"}]},
}

host(profile, name, version) := {
	"host": {"platform": "windows", "profile": profile},
	"facts": {"software": [{"program": concat(" ", [name, version])}]},
}

test_pass if {
	count(upd_06.violations) == 0 with input as host("workstation", "python2-doc", "2.7") with data.lists as lists
	count(upd_06.unknown) == 0 with input as host("workstation", "python2-doc", "2.7") with data.lists as lists
}

test_pass_certified if {
	count(upd_06.violations) == 0 with input as host("ems", "Microsoft Office Standard 2016", "16") with data.lists as lists
	count(upd_06.notes) == 1 with input as host("ems", "Microsoft Office Standard 2016", "16") with data.lists as lists
}

test_fail if count(upd_06.violations) == 1 with input as host("workstation", "Microsoft Office Standard 2016", "16") with data.lists as lists

# The year of an old one also stands in versions of new ones. This is the list that ships.
test_pass_new_office if {
	every version in ["16.0.17932.20100", "16.0.17932.20130", "16.0.17932.20162", "16.0.17932.20190", "16.0.17932.20210"] {
		count(upd_06.violations) == 0 with input as host("workstation", "Microsoft Office LTSC Standard 2024 - en-us", version)
	}
	count(upd_06.violations) == 0 with input as host("workstation", "Adobe Acrobat (64-bit)", "22.003.20205")
	count(upd_06.violations) == 1 with input as host("workstation", "Adobe Acrobat Reader 2020 MUI", "20.005.30636")
	count(upd_06.violations) == 1 with input as host("workstation", "Microsoft Office LTSC Standard 2021 - en-us", "16.0.14332.20204")
	count(upd_06.violations) == 1 with input as host("workstation", "Microsoft Office Professional Plus 2016", "16.0.4266.1001")
}

test_fail_by_name_alone if count(upd_06.violations) == 1 with input as host("workstation", "python2", "2.7.18") with data.lists as lists

test_unknown_without_programs if {
	count(upd_06.unknown) == 1 with input as {"host": {"profile": "workstation"}, "facts": {"software": []}} with data.lists as lists
}

test_unknown_list_of_another_shape if {
	every programs in ["python2", [], null] {
		l := object.union(lists, {"unsupported_software": programs})
		count(upd_06.unknown) == 1 with input as host("workstation", "python2", "2.7") with data.lists as l
	}
}

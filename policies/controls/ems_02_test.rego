package muster.controls.ems_02_test

import data.muster.controls.ems_02

manifest := [{"path": `C:\Program Files\ExampleEMS\Studio.exe`, "sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "size": 10}]

host(files) := {"host": {"platform": "windows", "profile": "ems"}, "facts": {"trusted_files": files}}

good := {"path": `c:\program files\exampleems\STUDIO.EXE`, "size": "10", "sha256": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}

extra := {"path": `C:\Program Files\ExampleEMS\extra.dll`, "size": "1", "sha256": "bb"}

readme := {"path": `C:\Program Files\ExampleEMS\readme.txt`, "size": "1", "sha256": "bb"}

test_pass if {
	count(ems_02.violations) == 0 with input as host([good, readme]) with data.lists.manifest as manifest
	count(ems_02.unknown) == 0 with input as host([good, readme]) with data.lists.manifest as manifest
}

test_fail_missing if count(ems_02.violations) == 1 with input as host([readme]) with data.lists.manifest as manifest

test_unknown_when_nothing_is_seen if {
	count(ems_02.violations) == 0 with input as host([]) with data.lists.manifest as manifest
	count(ems_02.unknown) == 1 with input as host([]) with data.lists.manifest as manifest
}

test_fail_changed if count(ems_02.violations) == 1 with input as host([object.union(good, {"sha256": "cc"})]) with data.lists.manifest as manifest

test_fail_size if count(ems_02.violations) == 1 with input as host([object.union(good, {"size": "11"})]) with data.lists.manifest as manifest

test_fail_extra_program if count(ems_02.violations) == 1 with input as host([good, extra]) with data.lists.manifest as manifest

test_unknown_not_hashed if {
	count(ems_02.violations) == 0 with input as host([object.union(good, {"sha256": ""})]) with data.lists.manifest as manifest
	count(ems_02.unknown) == 1 with input as host([object.union(good, {"sha256": ""})]) with data.lists.manifest as manifest
}

test_unknown_empty_manifest if count(ems_02.unknown) == 1 with input as host([good]) with data.lists.manifest as []

# Presence alone proves nothing.
test_unknown_manifest_without_hash if {
	every broken in [{"sha256": ""}, {"sha256": "aa"}, {"path": ""}] {
		m := array.concat(manifest, [object.union(manifest[0], broken)])
		count(ems_02.unknown) == 1 with input as host([good]) with data.lists.manifest as m
	}
	count(ems_02.unknown) == 1 with input as host([good]) with data.lists.manifest as [{"path": manifest[0].path}]
}

test_pass_size_as_text if {
	m := [object.union(manifest[0], {"size": "10"})]
	count(ems_02.violations) == 0 with input as host([good]) with data.lists.manifest as m
}

test_fail_extra_program_of_another_kind if count(ems_02.violations) == 1 with input as host([good, object.union(extra, {"path": `C:\Program Files\ExampleEMS\extra.SCR`})]) with data.lists.manifest as manifest

test_fail_extra_program_without_extension if {
	h := host([good, {"path": "/opt/example-ems/bin/extra", "size": "1", "mode": "0755", "sha256": "bb"}, {"path": "/opt/example-ems/readme", "size": "1", "mode": "1644", "sha256": "bb"}])
	{v.subject | some v in ems_02.violations} == {"/opt/example-ems/bin/extra"} with input as h with data.lists.manifest as manifest
}

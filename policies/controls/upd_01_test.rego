package muster.controls.upd_01_test

import data.muster.controls.upd_01

lists(end) := {
	"lifecycle": [
		{"platform": "windows", "build": "26100", "editions": ["Professional"], "end": end},
		{"platform": "debian", "version": "12", "end": "2026-07-11", "lts_end": "2028-06-30"},
		{"platform": "ubuntu", "version": "20.04", "end": "2025-05-31"},
	],
	"paid_support": [],
	"ems_baseline": {"build": "26100.1"},
}

host(profile, edition) := {
	"time": "2026-10-19T14:00:00Z",
	"host": {"platform": "windows", "profile": profile},
	"facts": {
		"os_version": [{"name": "Windows 11", "version": "10.0.26100", "build": "26100", "revision": "1"}],
		"os_edition": [{"name": "EditionID", "data": edition}],
	},
}

linux(platform, version) := {
	"time": "2026-10-19T14:00:00Z",
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {"os_version": [{"name": platform, "version": version, "platform": platform}]},
}

test_pass_on_the_last_day if {
	count(upd_01.violations) == 0 with input as host("workstation", "Professional") with data.lists as lists("2026-10-19")
	count(upd_01.unknown) == 0 with input as host("workstation", "Professional") with data.lists as lists("2026-10-19")
}

test_pass_with_long_term_support if {
	count(upd_01.violations) == 0 with input as linux("debian", "12 (bookworm)") with data.lists as lists("2026-10-19")
	count(upd_01.notes) == 1 with input as linux("debian", "12 (bookworm)") with data.lists as lists("2026-10-19")
}

test_pass_with_paid_support if {
	l := object.union(lists("2026-10-19"), {"paid_support": ["ubuntu 20.04"]})
	count(upd_01.violations) == 0 with input as linux("ubuntu", "20.04.6 LTS (Focal Fossa)") with data.lists as l
}

test_pass_as_the_certified_build if {
	count(upd_01.violations) == 0 with input as host("ems", "Professional") with data.lists as lists("2026-10-18")
	count(upd_01.notes) == 1 with input as host("ems", "Professional") with data.lists as lists("2026-10-18")
}

test_fail_the_day_after if {
	count(upd_01.violations) == 1 with input as host("workstation", "Professional") with data.lists as lists("2026-10-18")
}

test_fail_ubuntu_without_pro if {
	count(upd_01.violations) == 1 with input as linux("ubuntu", "20.04.6 LTS (Focal Fossa)") with data.lists as lists("2026-10-18")
}

test_unknown_edition if {
	count(upd_01.violations) == 0 with input as host("workstation", "Enterprise") with data.lists as lists("2026-10-18")
	count(upd_01.unknown) == 1 with input as host("workstation", "Enterprise") with data.lists as lists("2026-10-18")
}

test_unknown_entry_without_end if {
	l := object.union(lists("2026-10-19"), {"lifecycle": [{"platform": "debian", "version": "13"}]})
	count(upd_01.violations) == 0 with input as linux("debian", "13 (trixie)") with data.lists as l
	count(upd_01.unknown) == 1 with input as linux("debian", "13 (trixie)") with data.lists as l
}

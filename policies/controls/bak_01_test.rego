package muster.controls.bak_01_test

import data.muster.controls.bak_01

now := 1792418711

day := 24 * 3600

host(platform, profile, times) := {
	"time": "2026-10-19T14:05:11Z",
	"host": {"platform": platform, "profile": profile},
	"facts": {"backup_events": [{"unit": "Windows Backup", "last_success": text} | some text in times]},
}

ago(seconds) := format_int(now - seconds, 10)

windows(times) := host("windows", "workstation", times)

tested := {"restore_tested_on": "2025-10-20"}

test_pass if {
	every h in [windows([ago(7 * day)]), host("linux", "workstation", ["0", ago(day), ago(100 * day)])] {
		count(bak_01.violations) == 0 with input as h with data.lists.attestations as tested
		count(bak_01.unknown) == 0 with input as h with data.lists.attestations as tested
		count(bak_01.notes) == 0 with input as h with data.lists.attestations as tested
	}
}

test_pass_on_the_word_of_the_county if {
	count(bak_01.violations) == 0 with input as windows([]) with data.lists.attestations as tested
	count(bak_01.unknown) == 0 with input as windows([]) with data.lists.attestations as tested
	count(bak_01.notes) == 1 with input as windows([]) with data.lists.attestations as tested
}

test_pass_ems_with_a_note if {
	h := host("windows", "ems", [ago(60)])
	count(bak_01.violations) == 0 with input as h with data.lists.attestations as tested
	count(bak_01.notes) == 1 with input as h with data.lists.attestations as tested
}

test_fail_too_long_ago if {
	bak_01.violations == {{"subject": "backup", "found": "the last one that succeeded was on 2026-10-12", "want": "at most 7 days ago"}} with input as windows([ago((7 * day) + 1)]) with data.lists.attestations as tested
	count(bak_01.violations) == 1 with input as windows([ago(8 * day)]) with data.lists.attestations as {}
}

test_fail_never_succeeded if {
	count(bak_01.violations) == 1 with input as windows(["0"]) with data.lists.attestations as tested
}

test_fail_restore_tested_long_ago if {
	every date in ["2025-10-18", "2025-10-18T12:00:00Z", "1999-01-01"] {
		count(bak_01.violations) == 1 with input as windows([ago(60)]) with data.lists.attestations as {"restore_tested_on": date}
		count(bak_01.unknown) == 0 with input as windows([ago(60)]) with data.lists.attestations as {"restore_tested_on": date}
	}
}

test_unknown_not_attested if {
	every word in [{}, {"restore_tested_on": ""}, {"restore_tested_on": "last year"}, {"restore_tested_on": "2026-10-21"}, "2026-01-01", []] {
		count(bak_01.violations) == 0 with input as windows([ago(60)]) with data.lists.attestations as word
		count(bak_01.unknown) == 1 with input as windows([ago(60)]) with data.lists.attestations as word
	}
}

# A service that never said so may have made backups all the same.
test_unknown_success if {
	every h in [host("linux", "workstation", ["0"]), host("linux", "ems", [""]), windows([""]), windows([ago(-2 * day)])] {
		count(bak_01.violations) == 0 with input as h with data.lists.attestations as tested
		count(bak_01.unknown) == 1 with input as h with data.lists.attestations as tested
	}
}

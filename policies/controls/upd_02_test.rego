package muster.controls.upd_02_test

import data.muster.controls.upd_02

windows(revision, updates) := {
	"time": "2026-10-19T14:00:00Z",
	"host": {"platform": "windows"},
	"facts": {
		"os_version": [{"name": "Windows 11", "build": "26200", "revision": revision}],
		"update_history": [{"date": date, "title": title} | some title, date in updates],
	},
}

linux(mtimes, pending) := {
	"time": "2026-10-19T14:00:00Z",
	"host": {"platform": "linux"},
	"facts": {
		"os_version": [{"name": "Debian", "version": "13"}],
		"update_history": [{"path": "/var/lib/apt/periodic/update-stamp", "mtime": m} | some m in mtimes],
		"pending_updates": pending,
	},
}

october := {"2026-10 Security Update (KB5099611) (26200.8737)": "1791991082"}

august := {"2026-08 Cumulative Update (KB5090000) (26200.8300)": "1786600000"}

floor(released) := {"26200": {"revision": 8737, "released": released}}

judged(h, violations, unknown, notes, list) if {
	count(upd_02.violations) == violations with input as h with data.lists.patch_floor as list
	count(upd_02.unknown) == unknown with input as h with data.lists.patch_floor as list
	count(upd_02.notes) == notes with input as h with data.lists.patch_floor as list
}

test_pass_by_history if {
	judged(windows("8737", october), 0, 0, 0, {})
	judged(windows("8737", object.union(august, october)), 0, 0, 0, {})
}

test_pass_by_floor if {
	judged(windows("8737", {}), 0, 0, 0, floor("2026-10-13T00:00:00Z"))
	judged(windows("8737", august), 0, 0, 0, floor("2026-10-13"))
	h := {"time": "2026-10-19T14:00:00Z", "host": {"platform": "windows"}, "facts": {"os_version": [{"name": "w", "build": "26200", "revision": "9000"}]}}
	judged(h, 0, 0, 0, floor("2026-10-13"))
}

test_pass_with_a_note_when_a_newer_one_is_out if {
	judged(windows("8300", {"(26200.8300)": "1791991082"}), 0, 0, 1, floor("2026-10-13"))
}

test_pass_linux if judged(linux(["1791991082", "1786600000"], []), 0, 0, 0, {})

test_fail_old_history if {
	judged(windows("8300", august), 1, 0, 0, {})
	judged(windows("8300", august), 1, 0, 1, floor("2026-10-13"))
}

# At the floor, but nothing newer for longer than the limit.
test_fail_old_floor if judged(windows("8737", august), 1, 0, 0, floor("2026-09-01"))

# What was installed last week was old itself.
test_fail_below_an_old_floor if {
	judged(windows("8300", {"(26200.8300)": "1791991082"}), 1, 0, 0, floor("2026-09-01"))
	judged(windows("8300", {}), 1, 0, 0, floor("2026-09-01"))
	judged(windows("8300", august), 2, 0, 0, floor("2026-09-01"))
}

test_fail_linux_old if judged(linux(["1786600000"], []), 1, 0, 0, {})

test_fail_linux_pending if {
	judged(linux(["1791991082"], [{"name": "openssl", "installed": "3.0.1", "candidate": "3.0.2"}]), 1, 0, 0, {})
}

# 35 days, to the second.
test_fail_at_the_limit if {
	judged(linux(["1789394400"], []), 0, 0, 0, {})
	judged(linux(["1789394399"], []), 1, 0, 0, {})
	{v.found | some v in upd_02.violations} == {"the last ones are from 36 days ago"} with input as linux(["1789394399"], [])
}

test_unknown_without_history if {
	judged(windows("8737", {}), 0, 1, 0, {})
	judged(windows("8300", {}), 0, 1, 1, floor("2026-10-13"))
	judged(linux([], []), 0, 1, 0, {})
}

test_unknown_other_titles if {
	every title in ["2026-10 Security Update (KB5099611)", "2026-10 Update (26100.8737)", "2026-10 Update (26200.9999)"] {
		judged(windows("8737", {title: "1791991082"}), 0, 1, 0, {})
	}
}

test_unknown_odd_values if {
	judged(windows("", october), 0, 1, 0, floor("2026-10-13"))
	judged(windows("", {}), 0, 1, 0, floor("2026-09-01"))
	judged(windows("8737", {"(26200.8737)": ""}), 0, 1, 0, {})
	judged(linux(["", "soon"], []), 0, 1, 0, {})
}

test_unknown_ahead_of_the_clock if {
	judged(linux(["1893456000"], []), 0, 1, 0, {})
	judged(windows("8737", {}), 0, 1, 0, floor("2026-12-08"))
}

package muster.controls.av_02_test

import data.muster.controls.av_02

# 2026-10-19T10:58:31Z in 100 nanoseconds since 1601, the lowest byte first.
stamp := "80651AC7B85FDD01"

windows(time, profile, fresh, updated) := {
	"time": time,
	"host": {"platform": "windows", "profile": profile},
	"facts": {
		"antivirus": [{"name": "Microsoft Defender Antivirus", "state": "On", "defender": "1", "fresh": fresh}],
		"signatures": [{"updated": updated}],
	},
}

other(profile, fresh) := {
	"time": "2026-10-19T14:00:00Z",
	"host": {"platform": "windows", "profile": profile},
	"facts": {
		"antivirus": [{"name": "Other Antivirus", "state": "On", "defender": "0", "fresh": fresh}],
		"signatures": [{"updated": "0000000000000000"}],
	},
}

# Without a Security Center.
server(time, real_time, updated) := {
	"time": time,
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {"defender": [{"real_time": real_time, "signatures_updated": updated}], "signatures": [{"updated": stamp}]},
}

linux(time, programs, updated) := {
	"time": time,
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {
		"antivirus": [{"name": name, "state": state} | some name, state in programs],
		"signatures": [{"updated": time} | some time in updated],
	},
}

clamd := {"systemd": "first process", "clamd": "On"}

pass(h) if {
	count(av_02.violations) == 0 with input as h
	count(av_02.unknown) == 0 with input as h
}

fail(h) := found if found := {v.found | some v in av_02.violations} with input as h

unknown(h) if {
	count(av_02.violations) == 0 with input as h
	count(av_02.unknown) == 1 with input as h
}

test_pass if {
	pass(windows("2026-10-19T14:00:00Z", "workstation", "1", stamp))
	pass(windows("2026-10-22T10:50:00Z", "workstation", "1", stamp))
	pass(windows("2026-10-18T12:00:00Z", "workstation", "1", stamp))
	pass(other("workstation", "1"))
	pass(other("ems", "1"))
}

test_pass_ems if pass(windows("2027-01-17T10:50:00Z", "ems", "0", stamp))

test_pass_list if {
	h := windows("2026-10-25T14:00:00Z", "workstation", "1", stamp)
	count(av_02.violations) == 0 with input as h with data.lists.av_max_age_days as 7
	count(av_02.unknown) == 0 with input as h with data.lists.av_max_age_days as 7
}

# 2026-11-01T00:00:00Z, which is later than what is on disk.
test_pass_server if pass(server("2026-11-02T00:00:00Z", "1", "1793491200"))

test_pass_linux if pass(linux("2026-11-02T00:00:00Z", clamd, ["1700000000", "1793491200"]))

test_fail_old if {
	fail(windows("2026-10-22T12:00:00Z", "workstation", "1", stamp)) == {"last updated 3 days ago"}
	fail(windows("2027-01-17T12:00:00Z", "ems", "1", stamp)) == {"last updated 90 days ago"}
	fail(server("2026-11-05T00:00:00Z", "1", "1793491200")) == {"last updated 4 days ago"}
	fail(server("2026-11-05T00:00:00Z", "1", "0")) == {"last updated 16 days ago"}
	fail(linux("2026-11-05T00:00:00Z", clamd, ["1793491200"])) == {"last updated 4 days ago"}
}

test_fail_out_of_date if {
	fail(windows("2026-10-19T14:00:00Z", "workstation", "0", stamp)) == {"what it knows is out of date"}
	fail(other("workstation", "0")) == {"what it knows is out of date"}
}

test_unknown_stamp if {
	every text in ["", "80651AC7B85FDD", "80651AC7B85FDD01FF", "80651ac7b85fdd01", "1793491200", "FFFFFFFFFFFFFFFF"] {
		unknown(windows("2026-10-19T14:00:00Z", "workstation", "1", text))
	}
}

# The clock stands before the knowledge.
test_unknown_clock if unknown(windows("2026-10-18T10:00:00Z", "workstation", "1", stamp))

test_unknown_fresh if {
	unknown(windows("2026-10-19T14:00:00Z", "workstation", "", stamp))
	unknown(other("workstation", ""))
	unknown(other("ems", "0"))
	unknown(other("ems", ""))
}

test_unknown_without_an_antivirus if {
	unknown(server("2026-11-02T00:00:00Z", "0", "1793491200"))
	unknown(linux("2026-11-02T00:00:00Z", {"systemd": "first process"}, ["1793491200"]))
	h := windows("2026-10-19T14:00:00Z", "workstation", "1", stamp)
	count(av_02.unknown) == 1 with input as object.union(h, {"facts": {"antivirus": [{"name": "Microsoft Defender Antivirus", "state": "Off", "defender": "1", "fresh": "1"}]}})
}

test_unknown_linux if {
	unknown(linux("2026-11-02T00:00:00Z", {"falcon-sensor": "On"}, ["1793491200"]))
	unknown(linux("2026-11-02T00:00:00Z", clamd, []))
	unknown(linux("2026-11-02T00:00:00Z", clamd, [""]))
}

test_unknown_list if {
	h := windows("2026-10-19T14:00:00Z", "workstation", "1", stamp)
	every list in ["3", {}, {"workstation": "3"}, null] {
		count(av_02.unknown) == 1 with input as h with data.lists.av_max_age_days as list
	}
}

test_inapplicable if {
	h := windows("2026-10-19T14:00:00Z", "ems", "1", stamp)
	count(av_02.inapplicable) == 1 with input as h with data.lists.ems_baseline as {"antivirus": false}
	count(av_02.inapplicable) == 0 with input as h with data.lists.ems_baseline as {}
	w := windows("2026-10-19T14:00:00Z", "workstation", "1", stamp)
	count(av_02.inapplicable) == 0 with input as w with data.lists.ems_baseline as {"antivirus": false}
}

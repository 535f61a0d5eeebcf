package muster.controls.log_04_test

import data.muster.controls.log_04

now := 1792418711

windows(type, ago) := {
	"time": "2026-10-19T14:05:11Z",
	"host": {"platform": "windows"},
	"facts": {
		"time_service": [{"key": `SYSTEM\Services\W32Time\Parameters`, "name": "Type", "data": type}],
		"time_sync": [{"last_sync": format_int(now - ago, 10), "offset_seconds": ""}],
	},
}

linux(synchronized, offset, service) := {
	"time": "2026-10-19T14:05:11Z",
	"host": {"platform": "linux"},
	"facts": {"time_sync": [{"synchronized": synchronized, "offset_seconds": offset, "service": service}]},
}

week := (7 * 24) * 3600

test_pass if {
	every type in ["NTP", "NT5DS", "AllSync"] {
		count(log_04.violations) == 0 with input as windows(type, week)
		count(log_04.unknown) == 0 with input as windows(type, week)
		count(log_04.notes) == 1 with input as windows(type, week)
	}
}

test_pass_linux if {
	every offset in ["0", "-0.000312", "-1.2e-05", "59.9", "-59.9"] {
		count(log_04.violations) == 0 with input as linux("1", offset, "chrony")
		count(log_04.unknown) == 0 with input as linux("1", offset, "chrony")
		count(log_04.notes) == 0 with input as linux("1", offset, "chrony")
	}
}

test_fail_nosync if {
	count(log_04.violations) == 1 with input as windows("NoSync", 60)
	count(log_04.unknown) == 0 with input as windows("NoSync", 60)
}

test_fail_policy_wins if {
	rows := array.concat(windows("NTP", 60).facts.time_service, [{"key": `SOFTWARE\Policies\Microsoft\W32Time\Parameters`, "name": "Type", "data": "NoSync"}])
	count(log_04.violations) == 1 with input as windows("NTP", 60) with input.facts.time_service as rows
}

# Without the native table the setting alone may still be bad.
test_fail_without_the_last_time if {
	h := windows("NoSync", 60)
	count(log_04.violations) == 1 with input as {"time": h.time, "host": h.host, "facts": {"time_service": h.facts.time_service}}
}

test_fail_too_long_ago if count(log_04.violations) == 1 with input as windows("NTP", week + 1)

test_fail_off if {
	every offset in ["60", "-60.5", "118"] {
		count(log_04.violations) == 1 with input as linux("1", offset, "chrony")
	}
	h := windows("NTP", 60)
	count(log_04.violations) == 1 with input as h with input.facts.time_sync as [object.union(h.facts.time_sync[0], {"offset_seconds": "118"})]
	count(log_04.notes) == 0 with input as h with input.facts.time_sync as [object.union(h.facts.time_sync[0], {"offset_seconds": "1"})]
}

test_fail_linux if {
	{v.found | some v in log_04.violations} == {"no time service runs"} with input as linux("1", "0", "")
	{v.found | some v in log_04.violations} == {"not synchronized"} with input as linux("0", "0", "chrony")
}

test_unknown_type if {
	every type in ["", "NTP2"] {
		count(log_04.violations) == 0 with input as windows(type, 60)
		count(log_04.unknown) == 1 with input as windows(type, 60)
	}
	h := windows("NTP", 60)
	count(log_04.unknown) == 1 with input as h with input.facts.time_service as []
	count(log_04.unknown) == 1 with input as {"time": h.time, "host": h.host, "facts": {"time_sync": h.facts.time_sync}}
}

test_unknown_last_time if {
	h := windows("NTP", 60)
	every odd in ["", "never", format_int(now + 86400, 10)] {
		count(log_04.violations) == 0 with input as h with input.facts.time_sync as [{"last_sync": odd, "offset_seconds": ""}]
		count(log_04.unknown) == 1 with input as h with input.facts.time_sync as [{"last_sync": odd, "offset_seconds": ""}]
	}
}

test_unknown_linux if {
	every h in [linux("", "0", "chrony"), linux("2", "0", "chrony"), linux("1", "", "chrony"), linux("1", "soon", "chrony")] {
		count(log_04.violations) == 0 with input as h
		count(log_04.unknown) == 1 with input as h
	}
}

test_unknown_without_rows if {
	h := windows("NTP", 60)
	count(log_04.unknown) == 1 with input as h with input.facts.time_sync as []
	count(log_04.unknown) == 1 with input as linux("1", "0", "chrony") with input.facts.time_sync as []
}

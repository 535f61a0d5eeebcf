package muster.controls.acc_05_test

import data.muster.controls.acc_05

windows(tries) := {"host": {"platform": "windows"}, "facts": {"security_profile": [{"lockout_bad_count": tries}]}}

linux(lines, settings) := {
	"host": {"platform": "linux"},
	"facts": {"password_rules": array.concat(
		[{"name": "pam", "source": "/etc/pam.d/common-auth", "key": "auth", "value": line} | some line in lines],
		[{"name": "faillock", "source": "/etc/security/faillock.conf", "key": key, "value": value} | some key, value in settings],
	)},
}

unix := "[success=1 default=ignore] pam_unix.so nullok"

faillock := "[default=die] pam_faillock.so authfail"

asks := "required pam_faillock.so preauth"

pass(h) if {
	count(acc_05.violations) == 0 with input as h
	count(acc_05.unknown) == 0 with input as h
}

fail(h) := found if found := {v.found | some v in acc_05.violations} with input as h

unknown(h) if {
	count(acc_05.violations) == 0 with input as h
	count(acc_05.unknown) == 1 with input as h
}

test_pass if {
	pass(windows("1"))
	pass(windows("10"))
}

test_pass_linux if {
	pass(linux([asks, unix, faillock], {}))
	pass(linux([faillock, unix], {"deny": "10"}))
	pass(linux(["[default=die] pam_faillock.so authfail deny=10", unix], {"deny": "20"}))
	pass(linux(["required pam_tally2.so onerr=fail deny=5", unix], {}))
}

test_fail_never if {
	fail(windows("0")) == {"never locks an account"}
	fail(windows("-1")) == {"never locks an account"}
	fail(linux([unix], {"deny": "5"})) == {"never locks an account"}
	fail(linux([faillock], {"deny": "0"})) == {"never locks an account"}
	fail(linux([asks, unix], {})) == {"never locks an account"}
	fail(linux(["required pam_tally2.so"], {})) == {"never locks an account"}
}

test_fail_late if {
	fail(windows("11")) == {"locks after 11 wrong tries"}
	fail(linux([faillock], {"deny": "11"})) == {"locks after 11 wrong tries"}
	fail(linux(["required pam_faillock.so preauth deny=11", faillock], {})) == {"locks after 11 wrong tries"}
}

test_unknown if {
	unknown(windows(""))
	unknown(windows("often"))
	unknown({"host": {"platform": "windows"}, "facts": {"security_profile": []}})
	unknown(linux([], {"deny": "5"}))
	unknown(linux([faillock], {"deny": "few"}))
}

test_notes if {
	count(acc_05.notes) == 0 with input as windows("5")
	count(acc_05.notes) == 1 with input as windows("6")
	count(acc_05.notes) == 1 with input as windows("10")
	count(acc_05.notes) == 0 with input as windows("11")
}

test_notes_linux if {
	count(acc_05.notes) == 1 with input as linux([faillock], {})
	count(acc_05.notes) == 1 with input as linux([faillock], {"unlock_time": "899"})
	count(acc_05.notes) == 0 with input as linux([faillock], {"unlock_time": "900"})
	count(acc_05.notes) == 0 with input as linux([faillock], {"unlock_time": "0"})
	count(acc_05.notes) == 0 with input as linux([faillock], {"unlock_time": "never"})
	count(acc_05.notes) == 0 with input as linux([unix], {})
	count(acc_05.notes) == 0 with input as windows("5")
}

package muster.controls.acc_06_test

import data.muster.controls.acc_06

windows(name, value) := {"host": {"platform": "windows"}, "facts": {"autologon": [{"name": name, "data": value}]}}

linux(enabled) := {"host": {"platform": "linux"}, "facts": {"autologon": [{"source": "/etc/gdm3/custom.conf", "manager": "gdm", "key": "AutomaticLogin", "value": "clerk", "enabled": enabled}]}}

test_pass if {
	count(acc_06.violations) == 0 with input as windows("AutoAdminLogon", "0")
	count(acc_06.violations) == 0 with input as linux("0")
	count(acc_06.violations) == 0 with input as {"host": {"platform": "windows"}, "facts": {"autologon": []}}
}

test_fail if {
	count(acc_06.violations) == 1 with input as windows("AutoAdminLogon", "1")
	count(acc_06.violations) == 1 with input as linux("1")
}

test_fail_saved_password if count(acc_06.violations) == 1 with input as windows("DefaultPassword", "present")

# The engine answers unknown where the fact is not ok: nothing is claimed here.
test_unknown_without_the_fact if count(acc_06.violations) == 0 with input as {"host": {"platform": "linux"}, "facts": {}}

package muster.controls.boot_02_test

import data.muster.controls.boot_02

host(platform, rows) := {
	"host": {"platform": platform, "profile": "workstation"},
	"facts": {"tpm": rows, "hardware": [{"vendor": "Dell Inc.", "model": "Latitude"}]},
}

chip(enabled, version) := [{"enabled": enabled, "activated": "1", "spec_version": version}]

test_pass if {
	count(boot_02.violations) == 0 with input as host("windows", chip("1", "2.0, 0, 1.38"))
	count(boot_02.unknown) == 0 with input as host("windows", chip("1", "2.0, 0, 1.38"))
	count(boot_02.violations) == 0 with input as host("linux", [{"path": "/dev/tpm0"}, {"path": "/dev/tpmrm0"}])
}

test_fail if {
	count(boot_02.violations) == 1 with input as host("windows", [])
	count(boot_02.violations) == 1 with input as host("windows", chip("0", "2.0"))
	count(boot_02.violations) == 1 with input as host("windows", chip("1", "1.2, 2, 3"))
	count(boot_02.violations) == 1 with input as host("linux", [{"path": "/dev/tpm0"}])
}

test_unknown_state if {
	count(boot_02.violations) == 0 with input as host("windows", chip("-1", "2.0"))
	count(boot_02.unknown) == 1 with input as host("windows", chip("-1", "2.0"))
}

test_inapplicable if {
	count(boot_02.inapplicable) == 1 with input as {"host": {"platform": "linux"}, "facts": {"tpm": [], "hardware": [{"vendor": "QEMU", "model": "Standard PC"}]}}
}

package muster.controls.boot_01_test

import data.muster.controls.boot_01

host(profile, firmware, secure, setup, model) := {
	"host": {"platform": "windows", "profile": profile},
	"facts": {
		"firmware": [{"firmware_type": firmware}],
		"secureboot": [{"secure_boot": secure, "setup_mode": setup}],
		"hardware": [{"vendor": "Dell Inc.", "model": model}],
	},
}

test_pass if {
	count(boot_01.violations) == 0 with input as host("workstation", "uefi", "1", "0", "Latitude")
	count(boot_01.unknown) == 0 with input as host("workstation", "uefi", "1", "0", "Latitude")
	count(boot_01.inapplicable) == 0 with input as host("workstation", "uefi", "1", "0", "Latitude")
}

test_fail if {
	count(boot_01.violations) == 1 with input as host("workstation", "uefi", "0", "0", "Latitude")
	count(boot_01.violations) == 1 with input as host("workstation", "uefi", "1", "1", "Latitude")
	count(boot_01.violations) == 1 with input as host("workstation", "bios", "-1", "-1", "Latitude")
}

test_unknown_answer if {
	count(boot_01.violations) == 0 with input as host("workstation", "uefi", "-1", "-1", "Latitude")
	count(boot_01.unknown) == 1 with input as host("workstation", "uefi", "-1", "-1", "Latitude")
}

test_inapplicable if {
	count(boot_01.inapplicable) == 1 with input as host("workstation", "uefi", "1", "0", "VMware20,1")
	count(boot_01.inapplicable) == 1 with input as host("ems", "bios", "0", "0", "OptiPlex") with data.lists.ems_baseline as {"legacy_boot": true}
}

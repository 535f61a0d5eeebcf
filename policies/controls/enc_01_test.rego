package muster.controls.enc_01_test

import data.muster.controls.enc_01

volume(letter, protection, conversion, method) := {"drive_letter": letter, "protection_status": protection, "conversion_status": conversion, "encryption_method": method}

host(volumes) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {
		"disk_encryption": volumes,
		"disk_space": [{"volume": "C:", "description": "Local Fixed Disk"}, {"volume": "E:", "description": "Removable Disk"}],
	},
}

linux(encrypted) := {
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {"disk_encryption": [{"path": "/", "device": "/dev/sda1", "encrypted": encrypted}], "disk_space": []},
}

test_pass if {
	h := host([volume("C:", "1", "1", "XTS_AES_256"), volume("E:", "0", "0", "None")])
	count(enc_01.violations) == 0 with input as h
	count(enc_01.unknown) == 0 with input as h
}

test_pass_linux if {
	count(enc_01.violations) == 0 with input as linux("1")
	count(enc_01.unknown) == 0 with input as linux("1")
}

test_fail_when_only_the_remembered_status_is_good if {
	count(enc_01.violations) == 1 with input as host([volume("C:", "1", "0", "None")])
}

test_fail_in_words if {
	h := host([volume("C:", "0", "2", "XTS_AES_256")])
	{v.found | some v in enc_01.violations} == {"protection is off, being encrypted (XTS_AES_256)"} with input as h
}

test_fail_without_a_method if {
	every method in ["None", "NONE"] {
		count(enc_01.violations) == 1 with input as host([volume("C:", "1", "1", method)])
	}
}

test_fail_linux if count(enc_01.violations) == 1 with input as linux("0")

test_unknown_status if {
	count(enc_01.violations) == 0 with input as host([volume("C:", "2", "1", "XTS_AES_256")])
	count(enc_01.unknown) == 1 with input as host([volume("C:", "2", "1", "XTS_AES_256")])
}

test_unknown_without_rows if count(enc_01.unknown) == 2 with input as host([])

test_unknown_linux if count(enc_01.unknown) == 1 with input as linux("")

test_inapplicable if {
	h := {"host": {"platform": "windows", "profile": "ems"}, "facts": {"disk_encryption": [], "disk_space": []}}
	count(enc_01.inapplicable) == 1 with input as h with data.lists.ems_baseline as {"encryption": false}
}

# What is not said is no encryption, and no lack of it either.
test_unknown_blank if {
	every v in [volume("C:", "1", "1", ""), volume("C:", "1", "1", "UNKNOWN"), volume("C:", "1", "", "XTS_AES_256"), volume("C:", "", "", "")] {
		count(enc_01.violations) == 0 with input as host([v])
		count(enc_01.unknown) == 1 with input as host([v])
	}
}

test_unknown_only_volumes_without_a_letter if {
	h := {"host": {"platform": "windows"}, "facts": {"disk_encryption": [volume("", "1", "1", "XTS_AES_256")], "disk_space": []}}
	count(enc_01.unknown) == 1 with input as h
}

test_unknown_linux_without_the_root if {
	h := {"host": {"platform": "linux"}, "facts": {"disk_encryption": [{"path": "/home", "device": "/dev/dm-0", "encrypted": "1"}]}}
	count(enc_01.unknown) == 1 with input as h
}

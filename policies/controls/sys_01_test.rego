package muster.controls.sys_01_test

import data.muster.controls.sys_01

host(profile, free, size) := {
	"host": {"platform": "windows", "profile": profile},
	"facts": {"disk_space": [{"volume": "C:", "description": "Local Fixed Disk", "free": free, "size": size}]},
}

test_pass if {
	count(sys_01.violations) == 0 with input as host("workstation", "15", "100")
	count(sys_01.unknown) == 0 with input as host("workstation", "15", "100")
	count(sys_01.violations) == 0 with input as host("workstation", "20000000000", "1000000000000")
	count(sys_01.violations) == 0 with input as host("ems", "25", "100")
}

test_fail if {
	count(sys_01.violations) == 1 with input as host("workstation", "14", "100")
	count(sys_01.violations) == 1 with input as host("ems", "200000000000", "1000000000000")
	{v.want | some v in sys_01.violations} == {"15% or 20 GB free"} with input as host("workstation", "14", "100")
	{v.want | some v in sys_01.violations} == {"25% free"} with input as host("ems", "14", "100")
}

test_unknown_locked if {
	count(sys_01.violations) == 0 with input as host("workstation", "-1", "-1")
	count(sys_01.unknown) == 1 with input as host("workstation", "-1", "-1")
}

test_unknown_without_disks if {
	count(sys_01.unknown) == 1 with input as {"host": {"platform": "linux", "profile": "ems"}, "facts": {"disk_space": []}}
}

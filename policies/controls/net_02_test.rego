package muster.controls.net_02_test

import data.muster.controls.net_02

host(path) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {"listening": [{"protocol": "6", "port": "1433", "address": "0.0.0.0", "name": "sqlservr.exe", "path": path}]},
}

allow(port, path) := [{"protocol": "tcp", "port": port, "path": path}]

test_pass if {
	count(net_02.violations) == 0 with input as host(`C:\SQL\sqlservr.exe`) with data.lists.ports_allowed as allow(1433, `c:\sql\SQLSERVR.exe`)
	count(net_02.unknown) == 0 with input as host(`C:\SQL\sqlservr.exe`) with data.lists.ports_allowed as allow(1433, `c:\sql\SQLSERVR.exe`)
}

test_pass_any_program if count(net_02.violations) == 0 with input as host("") with data.lists.ports_allowed as allow(1433, "")

test_fail_port if count(net_02.violations) == 1 with input as host("") with data.lists.ports_allowed as allow(135, "")

test_fail_program if count(net_02.violations) == 1 with input as host(`C:\evil.exe`) with data.lists.ports_allowed as allow(1433, `C:\sql.exe`)

test_unknown_program if {
	count(net_02.violations) == 0 with input as host("") with data.lists.ports_allowed as allow(1433, `C:\sql.exe`)
	count(net_02.unknown) == 1 with input as host("") with data.lists.ports_allowed as allow(1433, `C:\sql.exe`)
}

test_pass_port_as_text if {
	count(net_02.violations) == 0 with input as host("") with data.lists.ports_allowed as [{"protocol": "TCP", "port": "1433"}]
}

test_unknown_when_windows_listens_nowhere if {
	h := {"host": {"platform": "windows"}, "facts": {"listening": []}}
	count(net_02.unknown) == 1 with input as h with data.lists.ports_allowed as []
}

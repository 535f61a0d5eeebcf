package muster.controls.net_07_test

import data.muster.controls.net_07

windows(profile, shares) := {
	"host": {"platform": "windows", "profile": profile},
	"facts": {"shares": array.concat(
		[{"name": "IPC$", "type": "2147483651", "path": ""}, {"name": "C$", "type": "-2147483648", "path": `C:\`}, {"name": "print$", "type": "0", "path": `C:\spool`}],
		[{"name": name, "type": type, "path": `D:\x`} | some name, type in shares],
	)},
}

linux(shares, server) := {
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {"shares": [{"name": name, "type": type} | some name, type in shares], "samba": server},
}

smbd := [{"path": "/usr/sbin/smbd"}]

judged(h, violations, unknown, notes) if {
	count(net_07.violations) == violations with input as h with data.lists.shares_allowed as ["EMSData", "/srv/ems"]
	count(net_07.unknown) == unknown with input as h with data.lists.shares_allowed as ["EMSData", "/srv/ems"]
	count(net_07.notes) == notes with input as h with data.lists.shares_allowed as ["EMSData", "/srv/ems"]
}

test_pass if {
	judged(windows("workstation", {"emsdata": "0", "Laser": "1"}), 0, 0, 0)
	judged(windows("ems", {"EMSData": "0", "Laser": "1"}), 0, 0, 2)
}

test_pass_linux if {
	judged(linux({}, []), 0, 0, 0)
	judged(linux({"EMSData": "samba", "/srv/ems": "nfs"}, smbd), 0, 0, 0)
	judged(linux({"homes": "samba"}, []), 0, 0, 0)
}

test_fail if {
	judged(windows("workstation", {"Absentee2024": "0"}), 1, 0, 0)
	judged(windows("workstation", {"Temporary": "1073741824"}), 1, 0, 0)
}

test_fail_linux if {
	judged(linux({"homes": "samba"}, smbd), 1, 0, 0)
	judged(linux({"emsdata": "samba"}, smbd), 1, 0, 0)
	judged(linux({"/srv": "nfs"}, []), 1, 0, 0)
}

test_unknown_kind if judged(windows("workstation", {"Odd": ""}), 0, 1, 0)

test_unknown_elsewhere if judged(linux({"/etc/exports.d/more.exports": "elsewhere"}, []), 0, 1, 0)

none(services) := {"host": {"platform": "windows", "profile": "workstation"}, "facts": object.union({"shares": []}, services)}

test_unknown_nothing_seen if {
	judged(none({}), 0, 1, 0)
	judged(none({"services": [{"name": "LanmanServer", "status": "RUNNING"}, {"name": "Other", "status": "STOPPED"}]}), 0, 1, 0)
}

test_pass_nothing_serves if judged(none({"services": [{"name": "LanmanServer", "status": "STOPPED"}]}), 0, 0, 0)

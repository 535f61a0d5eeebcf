package muster.controls.upd_03_test

import data.muster.controls.upd_03

windows(state, policy, services) := {
	"host": {"platform": "windows"},
	"facts": {
		"security_center": [{"firewall": "Good", "autoupdate": state}],
		"update_policy": [{"key": `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU`, "name": name, "data": value} | some name, value in policy],
		"update_services": [{"name": name, "start_type": type} | some name, type in object.union({"wuauserv": "DEMAND_START", "UsoSvc": "AUTO_START"}, services)],
	},
}

linux(policy, files) := {
	"host": {"platform": "linux"},
	"facts": {
		"update_policy": [{"name": name, "data": value} | some name, value in policy],
		"update_services": [{"path": path, "type": type} | some path, type in files],
	},
}

wants := "/etc/systemd/system/timers.target.wants/"

debian := {"/usr/bin/apt-get": "regular", "/usr/bin/unattended-upgrade": "regular", concat("", [wants, "apt-daily.timer"]): "regular", concat("", [wants, "apt-daily-upgrade.timer"]): "regular"}

daily := {"apt::periodic::update-package-lists": "1", "apt::periodic::unattended-upgrade": "1"}

fedora(timer) := {"/usr/bin/dnf": "regular", concat("", [wants, timer]): "regular"}

judged(h, violations, unknown) if {
	count(upd_03.violations) == violations with input as h with data.lists.managed_updates as false
	count(upd_03.unknown) == unknown with input as h with data.lists.managed_updates as false
	count(upd_03.inapplicable) == 0 with input as h with data.lists.managed_updates as false
}

test_pass if {
	judged(windows("Good", {}, {}), 0, 0)
	judged(windows("Good", {"NoAutoUpdate": "0", "AUOptions": "4", "UseWUServer": "1"}, {}), 0, 0)
}

test_pass_linux if {
	judged(linux(daily, debian), 0, 0)
	judged(linux(object.union(daily, {"apt::periodic::enable": "1", "apt::periodic::unattended-upgrade": "always"}), debian), 0, 0)
	judged(linux(daily, object.union(debian, {"/etc/systemd/system/apt-daily.service": "regular"})), 0, 0)
	judged(linux({}, fedora("dnf-automatic-install.timer")), 0, 0)
	judged(linux({"apply_updates": "Yes"}, fedora("dnf-automatic.timer")), 0, 0)
	judged(linux({"apply_updates": "True"}, {"/usr/bin/dnf5": "regular", "/x/dnf5-automatic.timer": "regular"}), 0, 0)
}

test_fail_state if {
	judged(windows("Poor", {}, {}), 1, 0)
	judged(windows("Snoozed", {}, {}), 1, 0)
}

test_fail_policy if {
	judged(windows("Good", {"noautoupdate": "1"}, {}), 1, 0)
	judged(windows("Good", {"AUOptions": "2"}, {}), 1, 0)
}

test_fail_service if {
	judged(windows("Good", {}, {"wuauserv": "DISABLED"}), 1, 0)
	judged(windows("Good", {}, {"UsoSvc": "DISABLED"}), 1, 0)
	{v.subject | some v in upd_03.violations} == {"service usosvc"} with input as windows("Good", {}, {"UsoSvc": "DISABLED"})
}

test_fail_debian if {
	judged(linux({}, debian), 2, 0)
	judged(linux(object.union(daily, {"apt::periodic::unattended-upgrade": "0"}), debian), 1, 0)
	judged(linux(object.union(daily, {"apt::periodic::enable": "0"}), debian), 1, 0)
	judged(linux(daily, {"/usr/bin/apt-get": "regular"}), 3, 0)
	judged(linux(daily, object.remove(debian, [concat("", [wants, "apt-daily.timer"])])), 1, 0)
	judged(linux(daily, object.union(debian, {"/etc/systemd/system/apt-daily-upgrade.timer": "character"})), 1, 0)
	judged(linux(daily, object.union(debian, {"/etc/systemd/system/apt-daily-upgrade.service": "character"})), 1, 0)
	judged(linux(daily, object.union(debian, {"/etc/systemd/system/apt-daily.service": "character"})), 1, 0)
}

test_fail_fedora if {
	judged(linux({}, {"/usr/bin/dnf": "regular"}), 1, 0)
	judged(linux({"apply_updates": "no"}, fedora("dnf-automatic.timer")), 1, 0)
	judged(linux({"apply_updates": "yes"}, {"/usr/bin/dnf": "regular"}), 1, 0)
}

test_unknown_windows if {
	judged(windows("Not Monitored", {}, {}), 0, 1)
	judged(windows("", {}, {}), 0, 1)
	judged(windows("Good", {"NoAutoUpdate": ""}, {}), 0, 1)
	judged(windows("Good", {"AUOptions": "banana"}, {}), 0, 1)
	judged(windows("Good", {}, {"wuauserv": ""}), 0, 1)
	h := windows("Good", {}, {})
	judged({"host": h.host, "facts": object.union(h.facts, {"security_center": [], "update_services": []})}, 0, 3)
}

test_unknown_linux if {
	judged(linux({}, {}), 0, 1)
	judged(linux(object.union(daily, {"apt::periodic::unattended-upgrade": "7"}), debian), 0, 1)
	judged(linux(object.union(daily, {"apt::periodic::enable": ""}), debian), 0, 1)
}

test_inapplicable if {
	h := windows("Poor", {"UseWUServer": "1"}, {})
	count(upd_03.inapplicable) == 1 with input as h with data.lists.managed_updates as true
	count(upd_03.inapplicable) == 0 with input as windows("Poor", {}, {}) with data.lists.managed_updates as true
}

package muster.controls.net_04_test

import data.muster.controls.net_04

hardened := {
	"port": "22", "permitrootlogin": "no", "permitemptypasswords": "no", "passwordauthentication": "no",
	"kbdinteractiveauthentication": "no", "usepam": "yes", "maxauthtries": "4",
}

linux(settings, facts) := {
	"host": {"platform": "linux"},
	"facts": object.union(
		{
			"sshd": [{"key": key, "value": value} | some key, value in settings],
			"listening": [{"port": "22", "protocol": "6", "name": "sshd"}],
			"processes": [{"name": "systemd", "path": ""}, {"name": "sshd", "path": ""}],
			"ssh_enabled": [],
		},
		facts,
	),
}

with_setting(key, value) := linux(object.union(hardened, {key: value}), {})

windows(state) := {
	"host": {"platform": "windows"},
	"facts": {
		"sshd": [{"key": "sshd", "value": s} | some s in state],
		"listening": [],
		"processes": [{"name": "System", "path": ""}],
	},
}

silent := {"listening": [], "processes": [{"name": "systemd", "path": ""}], "sshd": []}

judged(h, violations, unknown, notes, attested) if {
	count(net_04.violations) == violations with input as h with data.lists.attestations as attested
	count(net_04.unknown) == unknown with input as h with data.lists.attestations as attested
	count(net_04.notes) == notes with input as h with data.lists.attestations as attested
	count(net_04.inapplicable) == 0 with input as h with data.lists.attestations as attested
}

test_pass if {
	judged(linux(hardened, {}), 0, 0, 0, {})
	judged(with_setting("permitrootlogin", "prohibit-password"), 0, 0, 0, {})
	judged(with_setting("permitrootlogin", "forced-commands-only"), 0, 0, 0, {})
	judged(linux(object.union(hardened, {"kbdinteractiveauthentication": "yes", "usepam": "no"}), {}), 0, 0, 0, {})
}

test_pass_with_a_second_factor if {
	h := linux(object.union(hardened, {"passwordauthentication": "yes", "kbdinteractiveauthentication": "yes"}), {})
	judged(h, 0, 0, 1, {"ssh_mfa_on": "2026-10-01"})
	judged(h, 2, 0, 0, {})
	judged(h, 2, 0, 0, {"restore_tested_on": "2026-10-01"})
}

weak := object.union(hardened, {"passwordauthentication": "yes"})

test_pass_not_active if {
	judged(linux(weak, {"listening": [], "processes": [{"name": "systemd", "path": ""}]}), 0, 0, 1, {})
	judged(linux(weak, {"listening": [{"port": "22", "protocol": "17"}], "processes": [{"name": "systemd", "path": ""}]}), 0, 0, 1, {"ssh_mfa_on": "2026-10-01"})
}

# Each sign that it is active suffices.
test_fail_active if {
	idle := {"listening": [], "processes": [{"name": "systemd", "path": ""}]}
	judged(linux(weak, object.union(idle, {"processes": [{"name": "sshd", "path": ""}]})), 1, 0, 0, {})
	judged(linux(weak, object.union(idle, {"listening": [{"port": "22", "protocol": "6"}]})), 1, 0, 0, {})
	judged(linux(weak, object.union(idle, {"ssh_enabled": [{"path": "/etc/systemd/system/sockets.target.wants/ssh.socket"}]})), 1, 0, 0, {})
}

test_fail_each if {
	judged(with_setting("permitrootlogin", "yes"), 1, 0, 0, {})
	judged(with_setting("permitrootlogin", "yes"), 1, 0, 1, {"ssh_mfa_on": "2026-10-01"})
	judged(with_setting("permitemptypasswords", "yes"), 1, 0, 0, {})
	judged(with_setting("passwordauthentication", "yes"), 1, 0, 0, {})
	judged(with_setting("kbdinteractiveauthentication", "yes"), 1, 0, 0, {})
	judged(with_setting("maxauthtries", "5"), 1, 0, 0, {})
}

test_unknown_odd_values if {
	every key in ["permitrootlogin", "permitemptypasswords", "passwordauthentication", "kbdinteractiveauthentication", "usepam", "maxauthtries"] {
		judged(with_setting(key, ""), 0, 1, 0, {})
		judged(linux(object.remove(hardened, [key]), {}), 0, 1, 0, {})
	}
}

test_unknown_match if judged(with_setting("match", "user bob"), 0, 1, 0, {})

# What does not run is not judged.
test_pass_odd_values_of_an_idle_server if {
	idle := {"listening": [], "processes": [{"name": "systemd", "path": ""}]}
	judged(linux({"port": "22", "match": "user bob"}, idle), 0, 0, 1, {})
}

test_unknown_other_server if {
	judged(linux({}, object.union(silent, {"listening": [{"port": "22", "protocol": "6"}]})), 0, 1, 0, {})
	judged(linux({}, object.union(silent, {"processes": [{"name": "dropbear", "path": ""}]})), 0, 1, 0, {})
	judged(linux({}, object.union(silent, {"processes": [{"name": "sshd", "path": ""}]})), 0, 1, 0, {})
	judged(linux(hardened, {"processes": [{"name": "dropbear", "path": ""}, {"name": "sshd", "path": ""}]}), 0, 1, 0, {})
}

test_unknown_no_program if judged(linux({}, object.union(silent, {"processes": []})), 0, 1, 0, {})

test_unknown_windows if {
	judged(windows(["RUNNING AUTO_START"]), 0, 1, 1, {})
	judged(windows(["STOPPED AUTO_START"]), 0, 1, 1, {})
	judged(windows([" "]), 0, 1, 1, {})
}

test_unknown_windows_without_a_service if {
	h := windows([])
	judged({"host": h.host, "facts": object.union(h.facts, {"processes": [{"name": "sshd.exe", "path": ""}]})}, 0, 1, 0, {})
}

test_pass_windows_disabled if {
	judged(windows(["STOPPED DISABLED"]), 0, 0, 1, {})
	judged(windows(["STOPPED DEMAND_START"]), 0, 0, 1, {})
}

test_inapplicable if {
	count(net_04.inapplicable) == 1 with input as windows([])
	count(net_04.unknown) == 0 with input as windows([])
	count(net_04.inapplicable) == 1 with input as linux({}, silent)
	count(net_04.notes) == 0 with input as linux({}, silent)
}

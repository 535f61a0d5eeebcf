package muster.controls.acc_01_test

import data.muster.controls.acc_01

clerk := "S-1-5-21-1-2-3-1001"

own := `\Control Panel\Desktop`

policy := `\Software\Policies\Microsoft\Windows\Control Panel\Desktop`

good := {"ScreenSaveActive": "1", "ScreenSaverIsSecure": "1", "ScreenSaveTimeOut": "900", "SCRNSAVE.EXE": `C:\Windows\system32\scrnsave.scr`}

machine(seconds) := [{"key": `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`, "name": "InactivityTimeoutSecs", "data": seconds}]

signed_in(sid) := [{"key": concat("", [`HKEY_USERS\`, sid]), "name": "user", "data": "mrivera"}]

hive(sid, path, settings) := [{"key": concat("", [`HKEY_USERS\`, sid, path]), "name": name, "data": text} | some name, text in settings]

windows(rows) := {"host": {"platform": "windows", "profile": "workstation"}, "facts": {"screen_lock": array.flatten(rows)}}

one(settings) := windows([signed_in(clerk), hive(clerk, own, settings)])

gnome := {"idle-delay": ["idle", "1", "600"], "lock-delay": ["delay", "1", "300"], "lock-enabled": ["true", "", "true"], "disable-lock-screen": ["false", "", "false"]}

mate := {"idle-delay": ["idle", "60", "15"], "lock-delay": ["delay", "60", "0"], "lock-enabled": ["true", "", "true"]}

screen(username, desktop, settings) := [{"username": username, "desktop": desktop, "key": key, "kind": s[0], "unit": s[1], "value": s[2]} | some key, s in settings]

linux(desktops, rows) := {
	"host": {"platform": "linux", "profile": "workstation"},
	"facts": {
		"desktop_sessions": [{"desktop": d} | some d in desktops],
		"screen_lock": array.flatten(rows),
	},
}

changed(key, value) := linux(["GNOME"], [screen("", "GNOME", gnome), screen("alice", "GNOME", object.union(gnome, {key: array.concat(array.slice(gnome[key], 0, 2), [value])}))])

pass(h) if {
	count(acc_01.violations) == 0 with input as h
	count(acc_01.unknown) == 0 with input as h
}

fail(h) := found if found := {v.subject | some v in acc_01.violations} with input as h

unknown(h) if {
	count(acc_01.violations) == 0 with input as h
	count(acc_01.unknown) == 1 with input as h
}

test_pass if {
	every seconds in ["1", "900"] {
		pass(windows([machine(seconds), signed_in(clerk)]))
	}
}

test_pass_screen_saver if {
	pass(one(good))
	pass(windows([machine("0"), hive(clerk, own, good)]))
	pass(windows([machine("901"), hive("S-1-12-1-4-5-6-7", own, good)]))
}

test_pass_policy_before_own if pass(windows([signed_in(clerk), hive(clerk, policy, good), hive(clerk, own, object.union(good, {"ScreenSaverIsSecure": "0"}))]))

# The hives of the system itself, and the second one that people have.
test_pass_other_hives if {
	others := [hive(sid, own, {"ScreenSaveActive": "0"}) | some sid in [".DEFAULT", "S-1-5-18", "S-1-5-21-1-2-3-1001_Classes"]]
	pass(windows(array.concat(others, [signed_in(clerk), hive(clerk, own, good)])))
}

test_pass_linux if {
	pass(linux(["GNOME"], [screen("alice", "GNOME", gnome), screen("", "GNOME", gnome)]))
	pass(linux(["MATE"], [screen("alice", "MATE", mate)]))
}

# Settings of GNOME are there where GNOME is not.
test_pass_linux_other_desktop if pass(linux(["MATE"], [screen("alice", "MATE", mate), screen("alice", "GNOME", object.union(gnome, {"lock-enabled": ["true", "", "false"]}))]))

test_fail_screen_saver if {
	every wrong in [{"ScreenSaveActive": "0"}, {"ScreenSaverIsSecure": "0"}, {"ScreenSaveTimeOut": "901"}, {"ScreenSaveTimeOut": "0"}, {"SCRNSAVE.EXE": ""}] {
		fail(one(object.union(good, wrong))) == {"mrivera"}
	}
	every name, _ in good {
		fail(one(object.remove(good, [name]))) == {"mrivera"}
	}
}

test_fail_time_for_everyone_too_long if {
	fail(windows([machine("901"), signed_in(clerk)])) == {"mrivera"}
	fail(windows([machine("0"), hive(clerk, own, {"ScreenSaveActive": "0"})])) == {clerk}
}

test_fail_policy if fail(windows([hive(clerk, policy, {"ScreenSaveActive": "0"}), hive(clerk, own, good)])) == {clerk}

test_fail_one_of_two if fail(windows([hive(clerk, own, good), hive("S-1-5-21-1-2-3-1002", own, {"ScreenSaveActive": "0"})])) == {"S-1-5-21-1-2-3-1002"}

test_fail_name_that_cannot_be_found if fail(windows([[{"key": concat("", [`HKEY_USERS\`, clerk]), "name": "user", "data": ""}]])) == {clerk}

test_fail_linux if {
	fail(changed("lock-enabled", "false")) == {"alice in GNOME"}
	fail(changed("disable-lock-screen", "true")) == {"alice in GNOME"}
	fail(changed("idle-delay", "0")) == {"alice in GNOME"}
	fail(changed("idle-delay", "601")) == {"alice in GNOME"}
	fail(linux(["GNOME"], [screen("alice", "GNOME", {"idle-delay": ["idle", "1", "901"], "lock-enabled": ["true", "", "true"]})])) == {"alice in GNOME"}
	fail(changed("lock-delay", "301")) == {"alice in GNOME"}
	fail(linux(["MATE"], [screen("", "MATE", object.union(mate, {"idle-delay": ["idle", "60", "16"]}))])) == {"a new account in MATE"}
}

test_fail_linux_default_of_one_desktop if {
	twice := array.concat(screen("alice", "GNOME", gnome), screen("alice", "GNOME", {"idle-delay": ["idle", "1", "700"]}))
	fail(linux(["GNOME"], twice)) == {"alice in GNOME"}
}

test_unknown_setting if {
	every text in ["", "ten"] {
		unknown(windows([machine(text), signed_in(clerk), hive(clerk, own, good)]))
		unknown(one(object.union(good, {"ScreenSaveActive": text})))
		unknown(one(object.union(good, {"ScreenSaverIsSecure": text})))
		unknown(one(object.union(good, {"ScreenSaveTimeOut": text})))
	}
	unknown(one(object.union(good, {"ScreenSaveTimeOut": "-1"})))
}

# What could not be read might have locked it.
test_unknown_setting_for_everyone if {
	h := windows([machine("ten"), hive(clerk, own, {"ScreenSaveActive": "0"})])
	count(acc_01.violations) == 0 with input as h
	count(acc_01.unknown) > 0 with input as h
}

test_unknown_nobody if {
	unknown(windows([machine("0")]))
	unknown(windows([]))
}

test_unknown_linux if {
	every key in ["lock-enabled", "idle-delay", "lock-delay", "disable-lock-screen"] {
		every text in ["", "often", "-1"] {
			unknown(changed(key, text))
		}
	}
	unknown(linux(["GNOME"], [screen("alice", "GNOME", object.remove(gnome, ["idle-delay"]))]))
	unknown(linux(["GNOME"], [screen("alice", "GNOME", object.remove(gnome, ["lock-enabled"]))]))
}

test_unknown_linux_desktop if {
	unknown(linux(["GNOME", "i3"], [screen("alice", "GNOME", gnome)]))
	unknown(linux([], [screen("alice", "GNOME", gnome)]))
}

test_inapplicable if {
	h := {"host": {"platform": "windows", "profile": "ems"}, "facts": {"screen_lock": []}}
	count(acc_01.inapplicable) == 1 with input as h with data.lists.ems_baseline as {"no_lock": true}
	count(acc_01.inapplicable) == 0 with input as h with data.lists.ems_baseline as {"no_lock": false}
	count(acc_01.inapplicable) == 0 with input as windows([]) with data.lists.ems_baseline as {"no_lock": true}
}

package muster.controls.med_01_test

import data.muster.controls.med_01

windows(drives, autorun, volumes) := {
	"host": {"platform": "windows"},
	"facts": {"autorun": [{"key": `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\x`, "name": name, "data": said} |
		some name, said in {"NoDriveTypeAutoRun": drives, "NoAutorun": autorun, "NoAutoplayfornonVolume": volumes}
		said != "absent"
	]},
}

linux(user, automount, never, desktops) := {
	"host": {"platform": "linux"},
	"facts": {
		"autorun": [{"username": user, "schema": "org.gnome.desktop.media-handling", "key": key, "value": value} |
			some key, value in {"automount": automount, "autorun-never": never}
			value != "absent"
		],
		"desktops": [{"name": name} | some name in desktops],
	},
}

gnome := ["gnome.desktop", "ubuntu-wayland.desktop"]

test_pass if {
	every drives in ["255", "-1", "4294967295"] {
		count(med_01.violations) == 0 with input as windows(drives, "1", "1")
		count(med_01.unknown) == 0 with input as windows(drives, "1", "1")
		count(med_01.inapplicable) == 0 with input as windows(drives, "1", "1")
	}
}

test_pass_linux if {
	every h in [linux("alice", "false", "false", gnome), linux("alice", "true", "true", gnome), linux("", "false", "absent", gnome), linux("", "absent", "true", gnome)] {
		count(med_01.violations) == 0 with input as h
		count(med_01.unknown) == 0 with input as h
		count(med_01.inapplicable) == 0 with input as h
	}
}

test_fail_names_what_is_missing if {
	med_01.violations == {{"subject": "NoAutoplayfornonVolume", "found": "not set", "want": "1"}} with input as windows("255", "1", "absent")
	count(med_01.violations) == 3 with input as windows("absent", "absent", "absent")
	count(med_01.unknown) == 0 with input as windows("absent", "absent", "absent")
}

test_fail_other_values if {
	med_01.violations == {{"subject": "NoDriveTypeAutoRun", "found": "145", "want": "255"}} with input as windows("145", "1", "1")
	count(med_01.violations) == 1 with input as windows("255", "2", "1")
	count(med_01.violations) == 1 with input as windows("255", "1", "0")
}

test_fail_linux if {
	{v.subject | some v in med_01.violations} == {"alice"} with input as linux("alice", "true", "false", gnome)
	{v.subject | some v in med_01.violations} == {"people who are new here"} with input as linux("", "true", "false", gnome)
	count(med_01.unknown) == 0 with input as linux("alice", "true", "false", gnome)
}

test_unknown_odd_values if {
	every odd in ["", "all", "1.0"] {
		count(med_01.violations) == 0 with input as windows(odd, "1", "1")
		count(med_01.unknown) == 1 with input as windows(odd, "1", "1")
	}
}

test_unknown_linux if {
	every h in [linux("alice", "absent", "false", gnome), linux("alice", "true", "absent", gnome), linux("alice", "", "yes", gnome), linux("", "true", "", gnome)] {
		count(med_01.violations) == 0 with input as h
		count(med_01.unknown) == 1 with input as h
	}
}

# Each person counts, and each desktop that one has.
test_fail_one_of_several if {
	h := linux("alice", "false", "false", gnome)
	rows := array.flatten([h.facts.autorun, linux("bob", "true", "false", gnome).facts.autorun])
	{v.subject | some v in med_01.violations} == {"bob"} with input as h with input.facts.autorun as rows
	other := [object.union(r, {"schema": "org.cinnamon.desktop.media-handling"}) | some r in linux("alice", "true", "false", []).facts.autorun]
	count(med_01.violations) == 1 with input as h with input.facts.autorun as array.concat(h.facts.autorun, other)
}

test_unknown_other_desktop if {
	h := linux("alice", "false", "false", ["gnome.desktop", "plasma.desktop"])
	count(med_01.unknown) == 1 with input as h

	# Settings of GNOME mean nothing where only another desktop is.
	only := linux("alice", "true", "false", ["plasma.desktop"])
	count(med_01.violations) == 0 with input as only
	count(med_01.unknown) == 1 with input as only
}

test_pass_lightdm_starts_another if {
	count(med_01.unknown) == 0 with input as linux("alice", "false", "false", ["lightdm-xsession.desktop", "mate.desktop"])
	count(med_01.unknown) == 1 with input as linux("alice", "false", "false", ["lightdm-xsession.desktop"])
}

test_unknown_desktop_without_settings if {
	h := linux("", "absent", "absent", gnome)
	count(med_01.violations) == 0 with input as h
	count(med_01.unknown) == 1 with input as h
}

test_inapplicable_without_a_desktop if count(med_01.inapplicable) == 1 with input as linux("", "absent", "absent", [])

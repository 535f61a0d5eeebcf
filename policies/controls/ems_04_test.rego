package muster.controls.ems_04_test

import data.muster.controls.ems_04

hive := `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Enum\USBSTOR\`

# 2026-09-18 13:01:02 UTC
moment := "1789736462"

windows(history, disks) := {
	"host": {"platform": "windows"},
	"time": "2026-10-19T15:30:00Z",
	"facts": {"usb_history": [{"path": concat("", [hive, path]), "mtime": moment} | some path in history], "usb_disks": [{"path": path} | some path in disks]},
}

stick(serial) := {"serial": serial, "owner": "J. Lee", "purpose": "transfer", "from": "2026-09-18", "to": "2026-09-18"}

counts(h, register) := n if {
	n := [count(ems_04.violations), count(ems_04.unknown)] with input as h with data.lists.media_register as register
}

known := `Disk&Ven_A&Prod_B\0123ABC&0`

nameless := `Disk&Ven_C&Prod_D\7&2a1b3c4d&0`

test_pass if {
	counts(windows([], []), []) == [0, 0]
	counts(windows([known], []), [stick("0123abc")]) == [0, 0]
	counts(windows([known], []), [stick("other"), stick(known)]) == [0, 0]
	counts(windows([nameless], []), [stick(nameless)]) == [0, 0]
	counts(windows([nameless], []), [stick(`disk&ven_c&prod_d\7&2a1b3c4d`)]) == [0, 0]
}

test_pass_to_the_second if {
	counts(windows([known], []), [object.union(stick("0123ABC"), {"from": "2026-09-18T13:01:02Z", "to": "2026-09-18T13:01:02Z"})]) == [0, 0]
}

test_fail_not_registered if {
	counts(windows([known], []), []) == [1, 0]
	counts(windows([known, nameless], []), [stick("123ABC")]) == [2, 0]
	counts(windows([nameless], []), [stick("7&2a1b3c4d&0")]) == [1, 0]
	counts(windows([nameless], []), [stick("7&2a1b3c4d")]) == [1, 0]
	counts(windows([known], []), [stick("")]) == [1, 0]
	counts(windows([`Disk&Ven_A&Prod_B\X_0123ABC&0`], []), [stick("0123ABC")]) == [1, 0]
}

test_fail_outside_the_time if {
	every odd in [{"from": "2026-09-19"}, {"to": "2026-09-17"}, {"from": "2026-09-18T13:01:03Z"}, {"to": "2026-09-18T13:01:01Z"}] {
		counts(windows([known], []), [object.union(stick("0123ABC"), odd)]) == [1, 0]
	}
}

test_fail_incomplete_entry if {
	every odd in [{"owner": " "}, {"purpose": ""}] {
		counts(windows([known], []), [object.union(stick("0123ABC"), odd)]) == [1, 0]
	}
	every field in ["serial", "owner", "purpose", "from", "to"] {
		counts(windows([known], []), [object.remove(stick("0123ABC"), [field])]) == [1, 0]
	}
}

# What is plugged in now is used now.
test_fail_plugged_in_too_late if {
	counts(windows([known], [`USBSTOR\DISK&VEN_A&PROD_B\0123ABC&0`]), [stick("0123ABC")]) == [1, 0]
	counts(windows([known], [`USBSTOR\DISK&VEN_A&PROD_B\0123ABC&0`]), [stick("0123ABC"), object.union(stick("0123ABC"), {"to": "2026-10-19"})]) == [0, 0]
}

test_unknown_time if {
	h := windows([known], [])
	counts(object.union(h, {"facts": {"usb_history": [{"path": known, "mtime": ""}]}}), []) == [0, 1]
}

test_unknown_register if counts(windows([], []), "none") == [0, 1]

linux := {"host": {"platform": "linux"}, "facts": {"usb_history": [{"path": "/dev/disk/by-id/usb-Kingston_IronKey_0123ABC-0:0", "mtime": moment}]}}

test_unknown_linux if {
	counts(linux, [stick("0123ABC")]) == [0, 1]
	counts(linux, [stick("usb-Kingston_IronKey_0123ABC-0:0")]) == [0, 1]
}

test_fail_linux if counts(linux, [stick("123ABC")]) == [1, 1]

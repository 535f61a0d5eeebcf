package muster.controls.med_02_test

import data.muster.controls.med_02

host(platform, profile, values) := {
	"time": "2026-10-19T15:30:00Z",
	"host": {"platform": platform, "profile": profile},
	"facts": {"usb_policy": [{"key": "", "name": name, "data": said} | some name, said in values]},
}

usual := {"usbstor": "3"}

list(allowed) := {"usbstor": "3", "denyunspecified": "1", "allowdeviceids": "1", "allowed": allowed}

one := `USB\VID_0951&PID_1666\0123A4567B89`

blacklist := {"install": "usb-storage /bin/false"}

window(from, to) := [{"from": from, "to": to}]

test_pass if {
	every values in [{"usbstor": "4"}, list(one), {"denyremovabledevices": "1", "allowinstanceids": "1", "allowed": one}] {
		every profile in ["workstation", "ems"] {
			h := host("windows", profile, values)
			count(med_02.violations) == 0 with input as h
			count(med_02.unknown) == 0 with input as h
			count(med_02.notes) == 0 with input as h
		}
	}
}

test_pass_linux if {
	every values in [blacklist, {"install": "usb_storage /usr/bin/true"}, {"running": "usbguard-daemon"}] {
		h := host("linux", "ems", values)
		count(med_02.violations) == 0 with input as h
		count(med_02.unknown) == 0 with input as h
	}
}

test_pass_workstation_where_sticks_are_hindered if {
	every values in [{"deny_all": "1"}, {"deny_write": "1", "deny_execute": "1"}, {"rdvdenywriteaccess": "1"}] {
		h := host("windows", "workstation", object.union(usual, values))
		count(med_02.violations) == 0 with input as h
		count(med_02.notes) == 0 with input as h
	}
}

# A workstation only hears of it.
test_pass_workstation_with_a_note if {
	every h in [
		host("windows", "workstation", usual), host("windows", "workstation", {}), host("linux", "workstation", {}),
		host("windows", "workstation", {"deny_write": "1"}), host("windows", "workstation", {"deny_execute": "1", "deny_write": "0"}),
		host("windows", "workstation", {"deny_all": "0", "rdvdenywriteaccess": "0"}),
	] {
		count(med_02.violations) == 0 with input as h
		count(med_02.unknown) == 0 with input as h
		count(med_02.notes) == 1 with input as h
	}
}

test_fail_ems if {
	every values in [usual, {}, {"deny_write": "1", "deny_execute": "1"}, {"deny_all": "0"}, {"rdvdenywriteaccess": "1"}] {
		h := host("windows", "ems", values)
		{v.found | some v in med_02.violations} == {"any USB stick works"} with input as h
		count(med_02.notes) == 0 with input as h
		count(med_02.unknown) == 0 with input as h
	}
}

test_fail_half_an_allow_list if {
	full := list(one)
	every name, other in {"denyunspecified": "0", "allowdeviceids": "0"} {
		count(med_02.violations) == 1 with input as host("windows", "ems", object.union(full, {name: other}))
	}
	count(med_02.violations) == 1 with input as host("windows", "ems", object.remove(full, ["allowed"]))
}

test_fail_list_of_every_stick if {
	every name in ["*", "GenDisk", `USBSTOR\GenDisk`, `USB\Class_08&SubClass_06`, "{4d36e967-e325-11ce-bfc1-08002be10318}"] {
		{v.found | some v in med_02.violations} == {sprintf("the allow list names every stick: %s", [lower(name)])} with input as host("windows", "ems", list(name))
	}
}

test_fail_linux if {
	every values in [{}, {"install": "usb-storage /sbin/modprobe x"}, {"install": "floppy /bin/false"}, object.union(blacklist, {"loaded": "usb_storage"}), {"running": "x"}] {
		count(med_02.violations) == 1 with input as host("linux", "ems", values)
	}
}

test_pass_during_a_transfer if {
	h := host("windows", "ems", usual)
	l := window("2026-10-19T15:30:00Z", "2026-10-19T17:00:00Z")
	count(med_02.violations) == 0 with input as h with data.lists.transfer_window as l
	med_02.notes == {"USB sticks are open for a transfer until 2026-10-19T17:00:00Z"} with input as h with data.lists.transfer_window as l
	count(med_02.notes) == 0 with input as host("windows", "ems", {"usbstor": "4"}) with data.lists.transfer_window as l
	med_02.notes == {"any USB stick works here"} with input as host("windows", "workstation", usual) with data.lists.transfer_window as l
}

test_fail_before_and_after_a_transfer if {
	h := host("windows", "ems", usual)
	every l in [window("2026-10-19T15:30:01Z", "2026-10-19T17:00:00Z"), window("2026-10-18T15:30:00Z", "2026-10-19T15:30:00Z")] {
		count(med_02.violations) == 1 with input as h with data.lists.transfer_window as l
	}
}

test_unknown_odd_values if {
	every odd in ["", "off"] {
		every profile in ["workstation", "ems"] {
			h := host("windows", profile, {"usbstor": odd})
			count(med_02.violations) == 0 with input as h
			count(med_02.unknown) == 1 with input as h
		}
	}
	count(med_02.unknown) == 0 with input as host("windows", "ems", {"usbstor": "4", "deny_all": ""})
}

test_pass_notes_the_other_driver if {
	count(med_02.notes) == 1 with input as host("windows", "ems", {"usbstor": "4", "uaspstor": "3"})
	count(med_02.notes) == 0 with input as host("windows", "ems", {"usbstor": "4", "uaspstor": "4"})
	count(med_02.notes) == 0 with input as host("windows", "ems", object.union(list(one), {"uaspstor": "3"}))
}

test_pass_ems_nothing_removable if {
	count(med_02.violations) == 0 with input as host("windows", "ems", {"usbstor": "3", "deny_all": "1"})
}

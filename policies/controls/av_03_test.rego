package muster.controls.av_03_test

import data.muster.controls.av_03

machine := `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows Defender`

policy := `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows Defender`

on := [{"name": "Microsoft Defender Antivirus", "state": "On", "defender": "1"}]

off := [{"name": "Microsoft Defender Antivirus", "state": "Off", "defender": "1"}]

other := [{"name": "Other Antivirus", "state": "On", "defender": "0"}]

host(products, defender, settings) := {
	"host": {"platform": "windows", "profile": "workstation"},
	"facts": {"antivirus": products, "defender": defender, "defender_settings": settings},
}

setting(name, text) := host(on, [], [{"key": concat("", [policy, `\Real-Time Protection`]), "name": name, "data": text}])

excluded(kind, name) := host(on, [], [{"key": concat(`\`, [machine, "Exclusions", kind]), "name": name, "data": "0"}])

pass(h) if {
	count(av_03.violations) == 0 with input as h
	count(av_03.unknown) == 0 with input as h
	count(av_03.inapplicable) == 0 with input as h
}

wants(h) := found if found := {v.want | some v in av_03.violations} with input as h

test_pass if {
	pass(host(on, [], []))
	pass(host([], [{"real_time": "1", "tamper_protected": "1"}], []))
	pass(setting("DisableRealtimeMonitoring", "0"))
}

test_pass_allowed if {
	every name in [`c:\ems\DATA`, `c:\ems\temp\db.mdf`, `c:\users\ems\documents`, "ems.exe"] {
		h := excluded("Paths", name)
		count(av_03.violations) == 0 with input as h with data.lists.av_exclusions_allowed as [`C:\EMS\data`, `C:\EMS\temp\db.mdf`, `C:\Users\ems\Documents`, "ems.exe"]
	}
}

test_fail_switched_off if {
	every name in ["DisableAntiSpyware", "DisableAntiVirus", "DisableRealtimeMonitoring"] {
		wants(setting(name, "1")) == {"0, or not there"}
		wants(setting(name, "-1")) == {"0, or not there"}
	}
}

test_fail_broad_whatever_the_list_says if {
	every name in [
		"C:", `C:\`, `C:\*`, `c:\*.*`, `D:/`, `\\?\C:\`, "*", `%SystemDrive%\`, `C:\Users`, `C:\Users\*`, `C:\Users\mrivera`, `%SystemDrive%\Users\x\`,
		"%UserProfile%", "%TEMP%", `C:\Windows\Temp`, `C:\tmp\`, `C:\Users\mrivera\Downloads`, `C:\Users\mrivera\AppData\Local\Temp\*`, "*.exe", ".exe", "EXE",
	] {
		h := excluded("Paths", name)
		{v.want | some v in av_03.violations} == {"searched: this may never be left out"} with input as h with data.lists.av_exclusions_allowed as [name]
	}
}

test_fail_not_allowed if {
	every kind in ["Paths", "Extensions", "Processes", "IpAddresses"] {
		wants(excluded(kind, "vendor")) == {"searched, or on the list av_exclusions_allowed"}
	}
	h := host(on, [], [{"key": concat("", [policy, `\Exclusions\Paths`]), "name": `C:\EMS`, "data": "0"}])
	wants(h) == {"searched, or on the list av_exclusions_allowed"}
}

test_fail_beside_another_antivirus if {
	count(av_03.inapplicable) == 0 with input as host(array.concat(on, other), [], [])
	count(av_03.inapplicable) == 0 with input as host(other, [{"real_time": "1"}], [])
}

test_unknown_setting if {
	every name in ["DisableAntiSpyware", "DisableIOAVProtection"] {
		every text in ["", "yes"] {
			count(av_03.violations) == 0 with input as setting(name, text)
			count(av_03.unknown) == 1 with input as setting(name, text)
		}
	}
}

test_unknown_which_antivirus if {
	every h in [host([], [], []), host(off, [], []), host(off, [{"real_time": "0"}], []), host([{"name": "Other Antivirus", "state": "", "defender": "0"}], [], [])] {
		count(av_03.violations) == 0 with input as h
		count(av_03.unknown) == 1 with input as h
		count(av_03.inapplicable) == 0 with input as h
	}
}

test_inapplicable if {
	count(av_03.inapplicable) == 1 with input as host(array.concat(off, other), [{"real_time": "0"}], [])
	count(av_03.unknown) == 0 with input as host(other, [], [])
}

test_notes if {
	count(av_03.notes) == 1 with input as setting("DisableIOAVProtection", "1")
	count(av_03.violations) == 0 with input as setting("DisableIOAVProtection", "1")
	count(av_03.notes) == 0 with input as setting("DisableIOAVProtection", "0")
	count(av_03.notes) == 0 with input as setting("DisableAntiVirus", "1")
	count(av_03.notes) == 0 with input as excluded("Paths", "1")
	count(av_03.notes) == 1 with input as host(on, [{"real_time": "1", "tamper_protected": "0"}], [])
	count(av_03.notes) == 0 with input as host(on, [{"real_time": "1", "tamper_protected": "1"}], [])
}

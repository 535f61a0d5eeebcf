package muster.controls.air_02_test

import data.muster.controls.air_02

good := {
	"interfaces": [{"name": "Ethernet", "type": "6"}],
	"radio_hardware": [],
	"radio_services": [{"name": "WlanSvc", "status": "STOPPED"}, {"name": "bthserv", "status": "RUNNING"}],
	"network_profiles": [{"name": "Election", "type": "6", "connected": "2026-10-01"}],
}

windows(facts) := {"host": {"platform": "windows"}, "facts": object.union(good, facts)}

linux(facts) := {"host": {"platform": "linux"}, "facts": object.union({"interfaces": [{"name": "eno1", "type": "en"}], "radio_hardware": [], "radio_services": [], "network_profiles": []}, facts)}

build := {"date": "2025-02-11"}

counts(h, baseline) := n if {
	n := [count(air_02.violations), count(air_02.unknown), count(air_02.notes)] with input as h with data.lists.ems_baseline as baseline
}

test_pass if {
	counts(windows({}), build) == [0, 0, 0]
	counts(windows({}), {}) == [0, 0, 0]
	counts(linux({}), build) == [0, 0, 0]
}

test_fail_interface if {
	every type in ["71", "23", "243", "244"] {
		counts(windows({"interfaces": [{"name": "card", "type": type}]}), build) == [1, 0, 0]
	}
	every type in ["wl", "ww", "pp"] {
		counts(linux({"interfaces": [{"name": "wlan0", "type": type}]}), build) == [1, 0, 0]
	}
}

test_fail_service if {
	every name in ["WlanSvc", "WwanSvc", "wpa_supplicant", "iwd", "ModemManager"] {
		counts(windows({"radio_services": [{"name": name, "status": "RUNNING"}]}), build) == [1, 0, 0]
	}
}

test_fail_radio_on if counts(linux({"radio_hardware": [{"kind": "wwan", "name": "wwan0", "blocked": "0"}]}), build) == [1, 0, 1]

test_pass_radio_off if {
	counts(linux({"radio_hardware": [{"kind": "wifi", "name": "phy0", "blocked": "1"}]}), build) == [0, 0, 1]
	counts(windows({"radio_hardware": [{"kind": "wifi", "name": "Wireless-AC", "blocked": ""}]}), build) == [0, 0, 1]
	counts(linux({"radio_hardware": [{"kind": "bluetooth", "name": "hci0", "blocked": "0"}]}), build) == [0, 0, 0]
}

network(type, connected) := {"network_profiles": [{"name": "Guest WiFi", "type": type, "connected": connected}]}

test_fail_network_used if counts(windows(network("71", "2025-02-12")), build) == [1, 0, 0]

test_pass_network_used_before_the_build if counts(windows(network("71", "2025-02-11")), build) == [0, 0, 0]

test_unknown_network if {
	counts(windows(network("71", "")), build) == [0, 1, 0]
	counts(windows(network("", "2025-02-12")), build) == [0, 1, 0]
	counts(windows(network("71", "2025-02-12")), {}) == [0, 1, 0]
	counts(linux(network("", "")), build) == [0, 0, 0]
}

test_unknown_interface if {
	counts(windows({"interfaces": []}), build) == [0, 1, 0]
	counts(windows({"interfaces": [{"name": "card", "type": ""}]}), build) == [0, 1, 0]
}

test_unknown_service if counts(windows({"radio_services": [{"name": "WlanSvc", "status": ""}]}), build) == [0, 1, 0]

test_unknown_radio if counts(linux({"radio_hardware": [{"kind": "wifi", "name": "phy0", "blocked": ""}]}), build) == [0, 1, 1]

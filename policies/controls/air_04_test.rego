package muster.controls.air_04_test

import data.muster.controls.air_04

good := {
	"open_sockets": [
		{"address": "192.168.77.21", "name": "sqlservr.exe"},
		{"address": "127.0.0.1", "name": "x"},
		{"address": "fe80::1%eth0", "name": "x"},
		{"address": "::ffff:192.168.77.9", "name": "x"},
	],
	"connectivity": [{"ipv4_internet": "0", "ipv6_internet": "0"}],
	"dns_cache": [{"name": "ems-ws-01"}, {"name": "db.ems.example"}, {"name": "21.77.168.192.in-addr.arpa"}],
	"network_profiles": [{"name": "Election", "created": "2025-02-11"}],
	"online_updates": [{"name": "KB1", "day": "2025-02-10", "server": ""}],
}

windows(facts) := {"host": {"platform": "windows"}, "facts": object.union(good, facts)}

counts(h, baseline) := n if {
	n := [count(air_04.violations), count(air_04.unknown)] with input as h
		with data.lists.ems_baseline as baseline
		with data.lists.closed_network as ["192.168.77.0/24"]
		with data.lists.closed_domain as "EMS.example"
}

build := {"date": "2025-02-11T08:00:00Z"}

test_pass if {
	counts(windows({}), build) == [0, 0]
	counts(windows({"network_profiles": [], "online_updates": []}), {}) == [0, 0]
}

test_pass_linux if {
	counts({"host": {"platform": "linux"}, "facts": {"open_sockets": [], "network_profiles": [], "online_updates": []}}, build) == [0, 0]
}

linux(servers) := {"host": {"platform": "linux"}, "facts": {"open_sockets": [], "online_updates": [{"name": "list", "day": "2026-01-01", "server": server} | some server in servers]}}

test_pass_own_mirror if counts(linux(["192.168.77.5", "mirror", "mirror.ems.example"]), build) == [0, 0]

test_fail_mirror_elsewhere if {
	every server in ["10.1.1.1", "deb.debian.org"] {
		counts(linux([server]), build) == [1, 0]
	}
}

test_fail_connectivity if {
	counts(windows({"connectivity": [{"ipv4_internet": "1", "ipv6_internet": "0"}]}), build) == [1, 0]
	counts(windows({"connectivity": [{"ipv4_internet": "0", "ipv6_internet": "1"}]}), build) == [1, 0]
}

test_fail_socket if {
	every address in ["203.0.113.77", "2001:db8::1"] {
		counts(windows({"open_sockets": [{"address": address, "name": ""}]}), build) == [1, 0]
	}
}

test_fail_name if {
	every name in ["www.example.com", "notems.example", "time.windows.com."] {
		counts(windows({"dns_cache": [{"name": name}]}), build) == [1, 0]
	}
}

test_fail_update if counts(windows({"online_updates": [{"name": "KB2", "day": "2025-02-12", "server": ""}]}), build) == [1, 0]

test_fail_new_network if counts(windows({"network_profiles": [{"name": "Hotspot", "created": "2026-01-01"}]}), build) == [1, 0]

test_unknown_connectivity if {
	every rows in [[], [{"ipv4_internet": "", "ipv6_internet": "0"}], [{"ipv4_internet": "0", "ipv6_internet": ""}]] {
		counts(windows({"connectivity": rows}), build) == [0, 1]
	}
}

test_unknown_day if {
	counts(windows({"online_updates": [{"name": "KB2", "day": "", "server": ""}]}), build) == [0, 1]
	counts(windows({"network_profiles": [{"name": "Hotspot", "created": "12 May"}]}), build) == [0, 1]
}

test_unknown_without_a_build if {
	every baseline in [{}, {"date": ""}] {
		counts(windows({"online_updates": []}), baseline) == [0, 1]
	}
}

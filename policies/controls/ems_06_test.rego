package muster.controls.ems_06_test

import data.muster.controls.ems_06

# 1792423800 is the trusted time.
trusted := "2026-10-19T15:30:00Z"

host(platform, seconds, source) := {
	"host": {"platform": platform},
	"facts": {
		"clock": [{"unix_time": seconds}],
		"time_source": [{"name": name, "data": value, "key": "local"} | some name, value in source],
		"written": [{"path": "System.evtx", "mtime": "1792423600"}],
	},
}

counts(h, time) := counted(h, time, "")

counted(h, time, domain) := n if {
	n := [count(ems_06.violations), count(ems_06.unknown), count(ems_06.notes)] with input as h
		with data.lists.trusted_time as time
		with data.lists.closed_network as ["192.168.77.0/24", "fd00::/8"]
		with data.lists.closed_domain as domain
}

alone := {"type": "NoSync"}

test_pass if {
	every seconds in ["1792423800", "1792423860", "1792423740"] {
		counts(host("windows", seconds, alone), trusted) == [0, 0, 0]
	}
	counts(host("windows", "1792423800", alone), "2026-10-19T11:30:00-04:00") == [0, 0, 0]
	counts(host("linux", "1792423800", {"service": ""}), trusted) == [0, 0, 0]
}

test_pass_noted if {
	every seconds in ["1792423861", "1792423739", "1792424100", "1792423500"] {
		h := host("windows", seconds, alone)
		counts(object.union(h, {"facts": {"written": []}}), trusted) == [0, 0, 1]
	}
}

test_fail_wrong if {
	every seconds in ["1792424101", "1792423499"] {
		h := host("windows", seconds, alone)
		counts(object.union(h, {"facts": {"written": []}}), trusted) == [1, 0, 0]
	}
}

test_fail_says_which_way if {
	v := ems_06.violations with input as host("windows", "1792424101", alone) with data.lists.trusted_time as trusted
	{x.found | some x in v} == {"301 seconds fast"}
	w := ems_06.violations with input as host("windows", "1792423499", alone) with input.facts.written as [] with data.lists.trusted_time as trusted
	{x.found | some x in w} == {"301 seconds slow"}
}

test_fail_set_back if {
	h := host("windows", "1792423800", alone)
	counts(object.union(h, {"facts": {"written": [{"path": "System.evtx", "mtime": "1792423861"}]}}), trusted) == [1, 0, 0]
	counts(object.union(h, {"facts": {"written": [{"path": "System.evtx", "mtime": "1792423860"}]}}), trusted) == [0, 0, 0]
}

test_pass_server_of_the_closed_network if {
	every servers in ["192.168.77.5,0x9", "fd00::5,0x8 ems-srv-01,0x8", "192.168.77.5  192.168.77.6 "] {
		every type in ["NTP", "AllSync"] {
			counted(host("windows", "1792423800", {"type": type, "ntpserver": servers}), trusted, "ems.example") == [0, 0, 0]
		}
	}
	counted(host("windows", "1792423800", {"type": "NTP", "ntpserver": "time.ems.example"}), trusted, "ems.example") == [0, 0, 0]
	counted(host("windows", "1792423800", {"type": "NT5DS"}), trusted, "ems.example") == [0, 0, 0]
	counts(host("windows", "1792423800", {"type": "NoSync", "ntpserver": "time.windows.com,0x9"}), trusted) == [0, 0, 0]
}

test_fail_server_elsewhere if {
	every server in ["time.windows.com,0x9", "10.1.2.3", "2001:db8::1"] {
		counts(host("windows", "1792423800", {"type": "NTP", "ntpserver": server}), trusted) == [1, 0, 0]
	}
}

timesyncd(settings) := host("linux", "1792423800", object.union({"service": "systemd-timesyncd"}, settings))

test_pass_timesyncd if {
	counts(timesyncd({"NTP": "192.168.77.5 192.168.77.6"}), trusted) == [0, 0, 0]
	counts(timesyncd({"NTP": "192.168.77.5", "FallbackNTP": "pool.ntp.org"}), trusted) == [0, 0, 0]
	counts(timesyncd({"NTP": "", "FallbackNTP": "192.168.77.5"}), trusted) == [0, 0, 0]
	counts(timesyncd({"FallbackNTP": ""}), trusted) == [0, 0, 0]
	counts(host("linux", "1792423800", {"service": "", "NTP": "pool.ntp.org"}), trusted) == [0, 0, 0]
}

test_fail_timesyncd if {
	counts(timesyncd({}), trusted) == [1, 0, 0]
	counts(timesyncd({"NTP": ""}), trusted) == [1, 0, 0]
	counts(timesyncd({"NTP": "192.168.77.5 pool.ntp.org"}), trusted) == [1, 0, 0]
	counts(timesyncd({"FallbackNTP": "pool.ntp.org"}), trusted) == [1, 0, 0]
}

# A policy wins, whatever the order.
test_fail_policy if {
	h := host("windows", "1792423800", alone)
	rows := array.concat(h.facts.time_source, [{"key": `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\W32Time\Parameters`, "name": name, "data": value} | some name, value in {"Type": "NTP", "NtpServer": "10.1.2.3"}])
	counts(object.union(h, {"facts": {"time_source": rows}}), trusted) == [1, 0, 0]
}

test_unknown_clock if {
	counts(host("windows", "", alone), trusted) == [0, 1, 0]
	counts(object.union(host("windows", "1", alone), {"facts": {"clock": []}}), trusted) == [0, 1, 0]
}

test_unknown_trusted_time if {
	every text in ["", "2026-10-19", "2026-10-19T15:30:00"] {
		counts(host("windows", "1792423800", alone), text) == [0, 1, 0]
	}
}

test_unknown_source if {
	counts(host("windows", "1792423800", {}), trusted) == [0, 1, 0]
	counts(host("windows", "1792423800", {"type": ""}), trusted) == [0, 1, 0]
	counts(host("windows", "1792423800", {"type": "NTP"}), trusted) == [0, 1, 0]
	counts(host("windows", "1792423800", {"type": "NTP", "ntpserver": " "}), trusted) == [0, 1, 0]
	counts(host("windows", "1792423800", {"type": "NT5DS"}), trusted) == [0, 1, 0]
	counts(host("windows", "1792423800", {"type": "AllSync", "ntpserver": "192.168.77.5"}), trusted) == [0, 1, 0]
	counts(host("linux", "1792423800", {"service": "chrony"}), trusted) == [0, 1, 0]
	counts(host("linux", "1792423800", {}), trusted) == [0, 1, 0]
}

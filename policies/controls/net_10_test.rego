package muster.controls.net_10_test

import data.muster.controls.net_10

person := `HKEY_USERS\S-1-5-21-1-2-3-1001\Software\Microsoft\Windows\CurrentVersion\Internet Settings`

system := `HKEY_USERS\S-1-5-18\Software\Microsoft\Windows\CurrentVersion\Internet Settings`

policy := `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft\Windows\CurrentVersion\Internet Settings`

connections := `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings\Connections`

rows(key, values) := [{"key": key, "name": name, "data": value} | some name, value in values]

windows(rest) := {"host": {"platform": "windows"}, "facts": {"proxy": array.flatten(rest)}}

one(values) := windows([rows(person, object.union({"ProxyEnable": "0"}, values))])

linux(everybody, desktop) := {"host": {"platform": "linux"}, "facts": {
	"proxy": [{"key": "/etc/environment", "name": "http_proxy", "data": p} | some p in everybody],
	"desktop_proxy": [{"username": user, "schema": "org.gnome.system.proxy", "key": key, "value": value} | some user, values in desktop; some key, value in values],
}}

judged(h, violations, unknown, notes) if {
	count(net_10.violations) == violations with input as h with data.lists.proxies as ["Proxy.county.gov:8080", "http://wpad/x.pac"]
	count(net_10.unknown) == unknown with input as h with data.lists.proxies as ["Proxy.county.gov:8080", "http://wpad/x.pac"]
	count(net_10.notes) == notes with input as h with data.lists.proxies as ["Proxy.county.gov:8080", "http://wpad/x.pac"]
}

test_pass if {
	judged(one({}), 0, 0, 0)
	judged(one({"ProxyServer": "evil:80", "AutoConfigURL": ""}), 0, 0, 0)
	judged(one({"ProxyEnable": "1", "ProxyServer": "http=proxy.county.gov:8080; https=PROXY.county.gov:8080;"}), 0, 0, 0)
	judged(one({"AutoConfigURL": "http://WPAD/x.pac"}), 0, 0, 0)
}

test_pass_note_of_winhttp if {
	h := one({}).facts.proxy
	judged(windows([h, rows(connections, {"WinHttpSettings": "1800000000000000010000000000000000000000"})]), 0, 0, 0)
	judged(windows([h, rows(connections, {"WinHttpSettings": "180000000000000003000000040000006576696C00000000"})]), 0, 0, 1)
	judged(windows([h, rows(connections, {"Other": "180000000000000003000000040000006576696C00000000"})]), 0, 0, 0)
}

test_pass_linux if {
	judged(linux([], {}), 0, 0, 0)
	judged(linux(["proxy.county.gov:8080"], {"ann": {"mode": "none", "host": "evil", "autoconfig-url": ""}}), 0, 0, 0)
	judged(linux([], {"ann": {"mode": "manual", "host": "proxy.county.gov:8080", "autoconfig-url": "http://evil"}}), 0, 0, 0)
	judged(linux([], {"ann": {"mode": "manual", "host": ""}}), 0, 0, 0)
}

test_fail if {
	judged(one({"ProxyEnable": "1", "ProxyServer": "evil:80"}), 1, 0, 0)
	judged(one({"ProxyEnable": "1", "ProxyServer": "http=evil:80;https=proxy.county.gov:8080"}), 1, 0, 0)
	judged(one({"ProxyEnable": "1"}), 1, 0, 0)
	judged(one({"AutoConfigURL": "http://evil/x.pac"}), 1, 0, 0)
	judged(windows([rows(person, {"ProxyEnable": "0"}), rows(policy, {"ProxyEnable": "1", "ProxyServer": "evil:80"})]), 1, 0, 0)
}

# One file may set it twice.
test_fail_linux_twice if judged(linux(["http://evil:80", "http://worse:80"], {}), 2, 0, 0)

test_fail_linux if {
	judged(linux(["http://evil:80"], {}), 1, 0, 0)
	judged(linux([], {"ann": {"mode": "manual", "host": "evil"}, "bob": {"mode": "none", "host": "evil"}}), 1, 0, 0)
	judged(linux([], {"ann": {"mode": "auto", "autoconfig-url": "http://evil"}}), 1, 0, 0)
}

test_unknown_nobody_signed_in if {
	judged(windows([]), 0, 1, 0)
	judged(windows([rows(system, {"ProxyEnable": "0"})]), 0, 1, 0)
	judged(windows([rows(policy, {"ProxyEnable": "0"})]), 0, 1, 0)
	judged(windows([rows(replace(person, "S-1-5-21", "S-1-12-1"), {"ProxyEnable": "0"})]), 0, 0, 0)
}

test_unknown_odd_values if {
	judged(one({"ProxyEnable": ""}), 0, 1, 0)
	judged(one({"ProxyEnable": "yes"}), 0, 1, 0)
	judged(windows([rows(person, {"AutoConfigURL": ""})]), 0, 1, 0)
	judged(linux([], {"ann": {"mode": "odd"}}), 0, 1, 0)
	judged(linux([], {"ann": {"mode": ""}}), 0, 1, 0)
}

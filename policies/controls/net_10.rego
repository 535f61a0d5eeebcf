# METADATA
# title: No unknown proxy is set
# description: >-
#   A hidden proxy can read everything that staff type into web pages.
# custom:
#   id: MVS-NET-10
#   severity: medium
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [proxy, desktop_proxy]
#   lists: [proxies]
#   maps:
#     cis: ["4.1"]
#     cpg1: ["2.O"]
#     cpg2: ["3.N"]
#     csf: ["PR.PS-01"]
#     belfer: ["7"]
#     nist: ["SC-7", "CM-6"]
#   remedy: >-
#     Open Settings, Network, Proxy and switch off any proxy you did not set up. Tell IT if it comes back.
package muster.controls.net_10

import data.muster.lib

allowed := {lower(p) | some p in data.lists.proxies}

# Windows: each person that is signed in, and what holds for all.
said(key) := {lower(r.name): r.data | some r in input.facts.proxy; r.key == key}

people contains key if {
	some r in input.facts.proxy
	key := r.key
	regex.match(`(?i)^hkey_users\\s-1-(5-21|12-1)-`, key)
}

keys := {r.key | some r in input.facts.proxy}

owner(key) := sprintf("Windows account %s", [split(key, "\\")[1]]) if key in people

owner(key) := "all accounts of Windows" if not key in people

# "http=a:80;https=b:80" is one proxy for each kind.
set_here contains {"where": owner(key), "proxy": proxy} if {
	lib.windows
	some key in keys
	said(key).proxyenable == "1"
	some part in split(trim(object.get(said(key), "proxyserver", "a proxy without a name"), "; "), ";")
	proxy := regex.replace(lower(trim_space(part)), `^(https?|ftp|socks)=`, "")
}

set_here contains {"where": owner(key), "proxy": url} if {
	lib.windows
	some key in keys
	url := lower(said(key).autoconfigurl)
	url != ""
}

# Linux: for everybody, and on each person's desktop.
set_here contains {"where": r.key, "proxy": lower(r.data)} if {
	not lib.windows
	some r in input.facts.proxy
}

desktops := {d.username | some d in input.facts.desktop_proxy}

mode(user) := {d.value | some d in input.facts.desktop_proxy; d.username == user; d.key == "mode"}

uses := {"host": "manual", "autoconfig-url": "auto"}

set_here contains {"where": sprintf("desktop of %s", [object.get({"": "a new account"}, d.username, d.username)]), "proxy": lower(d.value)} if {
	not lib.windows
	some d in input.facts.desktop_proxy
	uses[d.key] in mode(d.username)
	d.value != ""
}

violations contains {"subject": s.where, "found": s.proxy, "want": "no proxy, or one of the list proxies"} if {
	some s in set_here
	not s.proxy in allowed
}

unknown contains "nobody is signed in, so no person's proxy can be seen" if {
	lib.windows
	count(people) == 0
}

unknown contains sprintf("%s says ProxyEnable = %q", [owner(key), state]) if {
	lib.windows
	some key in people
	state := object.get(said(key), "proxyenable", "absent")
	not state in {"0", "1"}
}

unknown contains sprintf("the desktop of %s says its proxy is %v", [user, mode(user)]) if {
	not lib.windows
	some user in desktops
	count(mode(user) - {"none", "manual", "auto"}) > 0
}

# The default is 20 bytes.
notes contains "services have a proxy setting of their own (WinHttpSettings), which is not decoded" if {
	lib.windows
	some r in input.facts.proxy
	lower(r.name) == "winhttpsettings"
	count(r.data) > 40
}

package muster.controls.net_05_test

import data.muster.controls.net_05

windows(features, settings) := {
	"host": {"platform": "windows"},
	"facts": {
		"smb1": [{"name": name, "state": state} | some name, state in features],
		"smb_settings": [{"key": "k", "name": name, "data": value} | some name, value in settings],
	},
}

linux(settings, programs) := {
	"host": {"platform": "linux"},
	"facts": {
		"smb_settings": [{"key": "/etc/samba/smb.conf", "name": name, "data": value} | some name, value in settings],
		"samba": [{"path": "/usr/sbin/smbd"}],
		"software": [{"program": p} | some p in programs],
	},
}

off := {"SMB1Protocol": "2", "TelnetClient": "1"}

signed := {"RequireSecuritySignature": "1", "Start": "4"}

judged(h, violations, unknown, notes) if {
	count(net_05.violations) == violations with input as h
	count(net_05.unknown) == unknown with input as h
	count(net_05.notes) == notes with input as h
}

test_pass if {
	judged(windows(off, signed), 0, 0, 0)
	judged(windows({"SMB1Protocol": "3"}, {"RequireSecuritySignature": "1", "SMB1": "0"}), 0, 0, 0)
	judged(windows({"TelnetClient": "2"}, signed), 0, 0, 0)
}

test_pass_with_a_note if {
	judged(windows(off, {}), 0, 0, 1)
	judged(windows(off, {"RequireSecuritySignature": "0"}), 0, 0, 1)
}

test_pass_linux if {
	judged(linux({}, ["samba 2:4.17.12+dfsg-0", "samba-common 2:4.9"]), 0, 0, 0)
	judged(linux({"serverminprotocol": "smb2_10"}, []), 0, 0, 0)
	judged(linux({"minprotocol": "SMB3"}, ["samba 4.9.0"]), 0, 0, 0)
	h := linux({"serverminprotocol": "NT1", "include": "/x"}, [])
	judged({"host": h.host, "facts": object.union(h.facts, {"samba": []})}, 0, 0, 0)
	judged({"host": h.host, "facts": {"smb_settings": [{"name": "minprotocol", "data": "odd"}], "samba": []}}, 0, 0, 0)
	judged({"host": h.host, "facts": {"smb_settings": [], "samba": [], "software": []}}, 0, 0, 0)
	judged({"host": h.host, "facts": {"smb_settings": [], "samba": [], "software": [{"program": "samba 4.9.0"}]}}, 0, 0, 0)
}

test_fail if {
	judged(windows({"SMB1Protocol": "1"}, signed), 1, 0, 0)
	judged(windows({"SMB1Protocol": "2", "SMB1Protocol-Client": "1"}, signed), 1, 0, 0)
	judged(windows({"FS-SMB1": "1"}, signed), 1, 0, 0)
	judged(windows(off, object.union(signed, {"SMB1": "1"})), 1, 0, 0)
	judged(windows(off, object.union(signed, {"Start": "2"})), 1, 0, 0)
}

test_fail_linux if {
	judged(linux({"serverminprotocol": "NT1"}, ["samba 4.17"]), 1, 0, 0)
	judged(linux({"minprotocol": "lanman1"}, []), 1, 0, 0)
	judged(linux({}, ["samba 2:4.9.5+dfsg-5"]), 1, 0, 0)
}

test_unknown if {
	judged(windows({"SMB1Protocol": "4"}, signed), 0, 1, 0)
	judged(windows({"SMB1Protocol": ""}, signed), 0, 1, 0)
	judged(windows({}, signed), 0, 1, 0)
	judged(windows(off, object.union(signed, {"SMB1": ""})), 0, 1, 0)
	judged(windows(off, object.union(signed, {"Start": "on"})), 0, 1, 0)
}

test_unknown_linux if {
	judged(linux({"serverminprotocol": "SMB2x"}, []), 0, 1, 0)
	judged(linux({"serverminprotocol": ""}, []), 0, 1, 0)
	judged(linux({}, ["vim 9.0"]), 0, 1, 0)
	judged(linux({"serverminprotocol": "SMB2", "include": "/etc/samba/more.conf"}, []), 0, 1, 0)
	judged(linux({"configbackend": "registry"}, ["samba 2:4.17"]), 0, 1, 0)
}

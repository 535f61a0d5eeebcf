package muster.controls.net_11_test

import data.muster.controls.net_11

known := "727AF186131051B10AFCD99BCF634557EB32BE50"

planted := "0000000000000000000000000000000000000001"

host(platform, prints) := {
	"host": {"platform": platform},
	"facts": {"root_certs": [{"name": "Root", "sha1": p, "path": "Root"} | some p in prints]},
}

judged(h, list, violations, unknown) if {
	count(net_11.violations) == violations with input as h with data.lists.root_ca_allowed as list
	count(net_11.unknown) == unknown with input as h with data.lists.root_ca_allowed as list
}

test_pass if {
	judged(host("windows", [known]), ["72:7a:f1:86:13:10:51:b1:0a:fc:d9:9b:cf:63:45:57:eb:32:be:50"], 0, 0)
	judged(host("windows", [lower(known)]), [known], 0, 0)
}

test_pass_linux_without_own_roots if judged(host("linux", []), [known], 0, 0)

test_fail if {
	judged(host("windows", [known, planted]), [known], 1, 0)
	judged(host("linux", [planted]), [known], 1, 0)
}

test_unknown_unreadable if {
	judged(host("windows", [known, ""]), [known], 0, 1)
	judged(host("linux", ["not a fingerprint"]), [known], 0, 1)
	h := {"host": {"platform": "linux"}, "facts": {"root_certs": [{"name": "x.crt", "path": "/x.crt"}]}}
	judged(h, [known], 0, 1)
}

test_unknown_nothing_seen if judged(host("windows", []), [known], 0, 1)

test_unknown_empty_list if {
	judged(host("linux", []), [], 0, 1)
	judged(host("linux", []), known, 0, 1)
}

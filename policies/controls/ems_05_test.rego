package muster.controls.ems_05_test

import data.muster.controls.ems_05

account(name, enabled) := {"username": name, "sid": sprintf("S-1-5-21-1-%s", [name]), "enabled": enabled, "last_logon": "0"}

guest := {"username": "Guest", "sid": "S-1-5-21-1-501", "enabled": "1", "last_logon": "0"}

profile(name, type) := {"username": name, "sid": "S-1-5-21-1-1001", "type": type}

good := {
	"accounts": [account("JLee", "1"), account("emsadmin", "1"), guest, account("old", "0")],
	"profiles": [profile("jlee", "local"), profile("emsadmin", "local"), guest],
	"admins": [{"username": "EMSadmin", "sid": "S-1-5-21-1-1002"}, {"username": "Guest", "sid": "S-1-5-21-1-501"}],
	"signed_in": [{"username": "jlee"}],
}

windows(facts) := {"host": {"platform": "windows"}, "facts": object.union(good, facts)}

without(h, fact) := object.union(object.remove(h, ["facts"]), {"facts": object.remove(h.facts, [fact])})

counts(h) := counted(h, ["jlee", "emsadmin"], {"date": "2025-02-11"})

counted(h, people, build) := n if {
	n := [count(ems_05.violations), count(ems_05.unknown)] with input as h
		with data.lists.ems_accounts as people
		with data.lists.ems_admins as ["emsadmin"]
		with data.lists.ems_baseline as build
}

linux(accounts, facts) := {"host": {"platform": "linux"}, "facts": object.union(
	{
		"accounts": [{"username": name, "password_status": status} | some name, status in accounts],
		"admins": [{"username": "root", "uid": "0"}, {"username": "emsadmin", "uid": "1000"}],
		"signed_in": [],
		"sign_ins": [{"username": "jlee"}],
	},
	facts,
)}

test_pass if {
	counts(windows({})) == [0, 0]
	counts(without(windows({}), "profiles")) == [0, 0]
	counts(linux({"root": "locked", "jlee": "active", "emsadmin": "active"}, {})) == [0, 0]
}

test_pass_without_flags if counts(without(windows({}), "accounts")) == [0, 0]

test_fail_extra_account if {
	counts(windows({"accounts": array.concat(good.accounts, [account("mallory", "1")])})) == [1, 0]
	counts(linux({"jlee": "active", "emsadmin": "active", "Jlee": "empty"}, {})) == [1, 0]
}

test_fail_missing_account if {
	counts(windows({"accounts": [account("emsadmin", "1")]})) == [1, 0]
	counts(windows({"accounts": [account("emsadmin", "1"), account("jlee", "0")]})) == [1, 0]
	counts(without(windows({"profiles": [profile("emsadmin", "local")]}), "accounts")) == [1, 0]
}

signed_in_on(day) := {"accounts": array.concat(good.accounts, [object.union(account("gone", "0"), {"last_logon": day})])}

test_fail_signed_in_since_the_build if counts(windows(signed_in_on("1739318400"))) == [1, 0]

test_pass_signed_in_before_the_build if {
	counts(windows(signed_in_on("1739318399"))) == [0, 0]
	counts(windows({"accounts": [object.union(account("jlee", "1"), {"last_logon": "1767225600"}), account("emsadmin", "1")]})) == [0, 0]
}

test_unknown_since_when if {
	counted(windows(signed_in_on("1739318400")), ["jlee", "emsadmin"], {}) == [0, 1]
	counted(windows({"accounts": [object.union(account("jlee", "1"), {"last_logon": "1767225600"}), account("emsadmin", "1")]}), ["jlee", "emsadmin"], {}) == [0, 0]
	counted(windows({}), ["jlee", "emsadmin"], {}) == [0, 0]
}

test_fail_profile_from_elsewhere if {
	counts(windows({"profiles": [profile("mallory", "roaming")]})) == [1, 0]
	counts(windows({"profiles": [profile("jlee", "roaming")]})) == [0, 0]
	counts(windows({"profiles": [profile("mallory", "local")]})) == [0, 0]
}

test_fail_signed_in if {
	counts(windows({"signed_in": [{"username": "mallory"}]})) == [1, 0]
	counts(linux({"jlee": "active", "emsadmin": "active"}, {"sign_ins": [{"username": "root"}]})) == [1, 0]
}

test_fail_generic_name if counted(windows({"accounts": array.concat(good.accounts, [account("Clerk", "1")])}), ["jlee", "emsadmin", "Clerk"], {}) == [1, 0]

test_fail_admins if {
	counts(windows({"admins": array.concat(good.admins, [{"username": "jlee", "sid": "S-1-5-21-1-1001"}])})) == [1, 0]
	counts(windows({"admins": []})) == [1, 0]
	counts(windows({"admin_members": [{"username": "", "sid": "S-1-5-21-9-9", "type": "unknown"}]})) == [2, 0]
}

# Only Linux keeps the name root for the one administrator that it cannot do without.
test_fail_admin_called_root if counts(windows({"admins": array.concat(good.admins, [{"username": "root", "sid": "S-1-5-21-1-1009"}])})) == [1, 0]

test_pass_root_may_be_listed if {
	h := linux({"root": "locked", "jlee": "active", "emsadmin": "active"}, {})
	count(ems_05.violations) == 0 with input as h
		with data.lists.ems_accounts as ["jlee", "emsadmin"]
		with data.lists.ems_admins as ["emsadmin", "root"]
		with data.lists.ems_baseline as {}
}

test_unknown_flags if {
	counts(linux({"jlee": "", "emsadmin": "active", "bin": "not_set"}, {})) == [0, 1]
	counts(without(windows({"profiles": array.concat(good.profiles, [profile("mallory", "local")])}), "accounts")) == [0, 1]
	counts(windows({"accounts": array.concat(good.accounts, [account("mallory", "")])})) == [0, 1]
	counts(windows({"accounts": [account("emsadmin", "1"), account("jlee", "")]})) == [0, 1]
}

test_unknown_without_accounts if {
	counted(windows({"accounts": [], "profiles": [], "signed_in": [], "admins": good.admins}), [], {}) == [0, 1]
	counted(windows({"accounts": [], "signed_in": []}), [], {}) == [0, 0]
}

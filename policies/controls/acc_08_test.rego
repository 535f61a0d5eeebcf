package muster.controls.acc_08_test

import data.muster.controls.acc_08

csp := `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Policies\LAPS`

gpo := `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\LAPS`

local := `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\LAPS\Config`

legacy := `HKEY_LOCAL_MACHINE\SOFTWARE\Policies\Microsoft Services\AdmPwd`

host(domain, settings) := {
	"host": {"platform": "windows"},
	"facts": {
		"domain": [{"domain_name": domain}],
		"domain_registry": [],
		"laps": [{"key": key, "name": name, "data": text} | some key, values in settings; some name, text in values],
	},
}

joined(settings) := host("COUNTY", settings)

pass(h) if {
	count(acc_08.violations) == 0 with input as h
	count(acc_08.unknown) == 0 with input as h
	count(acc_08.inapplicable) == 0 with input as h
}

fail(h) := found if found := {v.found | some v in acc_08.violations} with input as h

test_pass if {
	every root in [csp, gpo, local] {
		pass(joined({root: {"BackupDirectory": "1"}}))
		pass(joined({root: {"BackupDirectory": "2", "PasswordAgeDays": "30"}}))
	}
	pass(joined({legacy: {"AdmPwdEnabled": "1"}}))
}

test_pass_first_decides if pass(joined({csp: {"BackupDirectory": "1"}, gpo: {"BackupDirectory": "0"}, legacy: {"AdmPwdEnabled": "0"}}))

test_fail_not_set_up if fail(joined({})) == {"LAPS is not set up"}

test_fail_off if {
	fail(joined({gpo: {"BackupDirectory": "0"}})) == {"LAPS is off"}
	fail(joined({legacy: {"AdmPwdEnabled": "0"}})) == {"LAPS is off"}
}

# Windows does not look further, though the first says nothing of the folder.
test_fail_first_leaves_it_out if fail(joined({csp: {"PasswordAgeDays": "30"}, gpo: {"BackupDirectory": "2"}})) == {"LAPS is off"}

test_unknown if {
	every text in ["", "3", "-1"] {
		h := joined({gpo: {"BackupDirectory": text}})
		count(acc_08.violations) == 0 with input as h
		count(acc_08.unknown) == 1 with input as h
	}
}

test_inapplicable if {
	count(acc_08.inapplicable) == 1 with input as host("", {})
	entra := [{"key": `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\CloudDomainJoin\JoinInfo`, "name": "0123", "data": ""}]
	count(acc_08.inapplicable) == 0 with input as host("", {}) with input.facts.domain_registry as entra
}

package muster.controls.app_03_test

import data.muster.controls.app_03

host(logging, state) := {"facts": {
	"powershell": [{"name": "EnableScriptBlockLogging", "data": v} | some v in logging],
	"smb1": [{"name": "TelnetClient", "state": "1", "statename": "on"}, {"name": "SMB1Protocol", "state": "", "statename": ""}, {"name": "MicrosoftWindowsPowerShellV2Root", "state": state, "statename": "x"}],
}}

test_pass if {
	count(app_03.violations) == 0 with input as host(["1"], "2")
	count(app_03.unknown) == 0 with input as host(["1"], "2")
	count(app_03.notes) == 3 with input as host(["1"], "2")
}

test_fail_no_logging if {
	count(app_03.violations) == 1 with input as host([], "3")
	count(app_03.violations) == 1 with input as host(["0"], "3")
}

test_fail_old_powershell if count(app_03.violations) == 1 with input as host(["1"], "1")

# Windows Server has the feature without its parent.
test_fail_old_powershell_on_a_server if {
	v2 := {"name": "MicrosoftWindowsPowerShellV2", "state": "1", "statename": "Enabled"}
	{v.found | some v in app_03.violations} == {"Enabled"} with input as host(["1"], "2") with input.facts.smb1 as [v2]
}

test_unknown_state if {
	count(app_03.violations) == 0 with input as host(["1"], "4")
	count(app_03.unknown) == 1 with input as host(["1"], "4")
}

test_unknown_without_features if {
	h := {"facts": {"powershell": [{"name": "EnableScriptBlockLogging", "data": "1"}], "smb1": []}}
	count(app_03.violations) == 0 with input as h
	count(app_03.unknown) == 1 with input as h
}

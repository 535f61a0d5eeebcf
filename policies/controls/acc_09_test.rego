package muster.controls.acc_09_test

import data.muster.controls.acc_09

host(values) := {"facts": {"uac": [{"name": name, "data": value} | some name, value in values]}}

test_pass if {
	count(acc_09.violations) == 0 with input as host({"EnableLUA": "1", "ConsentPromptBehaviorAdmin": "5", "PromptOnSecureDesktop": "1"})
	count(acc_09.unknown) == 0 with input as host({"EnableLUA": "1", "ConsentPromptBehaviorAdmin": "5"})
}

test_fail if {
	count(acc_09.violations) == 3 with input as host({"EnableLUA": "0", "ConsentPromptBehaviorAdmin": "0", "PromptOnSecureDesktop": "0"})
}

test_unknown_absent if {
	count(acc_09.violations) == 0 with input as host({"EnableLUA": "1"})
	count(acc_09.unknown) == 1 with input as host({"EnableLUA": "1"})
}

test_unknown_value_that_is_no_number if {
	rows := [{"name": "EnableLUA", "data": "1"}, {"name": "ConsentPromptBehaviorAdmin", "data": ""}]
	count(acc_09.violations) == 0 with input as {"facts": {"uac": rows}}
	count(acc_09.unknown) == 1 with input as {"facts": {"uac": rows}}
}

package muster.controls.acc_04_test

import data.muster.controls.acc_04

windows(length, clear, lsa) := {
	"host": {"platform": "windows"},
	"facts": {
		"security_profile": [{"minimum_password_length": length, "clear_text_password": clear}],
		"lsa": [{"name": name, "data": text} | some name, text in lsa],
	},
}

# Lines of common-password, and what pwquality.conf says.
linux(lines, settings) := {
	"host": {"platform": "linux"},
	"facts": {"password_rules": array.concat(
		[{"name": "pam", "source": "/etc/pam.d/common-password", "key": "password", "value": line} | some line in lines],
		[{"name": "pwquality", "source": "/etc/security/pwquality.conf", "key": key, "value": value} | some key, value in settings],
	)},
}

unix := "[success=1 default=ignore] pam_unix.so obscure use_authtok yescrypt"

pwquality := "requisite pam_pwquality.so retry=3"

pass(h) if {
	count(acc_04.violations) == 0 with input as h
	count(acc_04.unknown) == 0 with input as h
}

fail(h) := found if found := {v.found | some v in acc_04.violations} with input as h

unknown(h) if {
	count(acc_04.violations) == 0 with input as h
	count(acc_04.unknown) == 1 with input as h
}

test_pass if {
	pass(windows("14", "0", {}))
	pass(windows("16", "0", {"LimitBlankPasswordUse": "1"}))
}

test_pass_linux if {
	pass(linux([pwquality, unix], {"minlen": "14"}))
	pass(linux(["requisite pam_pwquality.so retry=3 minlen=14", unix], {"minlen": "8"}))
	pass(linux(["[success=1 default=ignore] pam_unix.so minlen=14"], {}))
	pass(linux(["[default=1 ignore=ignore success=ok] pam_pwquality.so", unix], {"minlen": "14", "enforcing": "1"}))
}

test_fail_short if {
	fail(windows("13", "0", {})) == {"13 characters are enough"}
	fail(windows("-1", "0", {})) == {"0 characters are enough"}
}

test_fail_clear_text if fail(windows("14", "1", {})) == {"can be turned back into clear text"}

test_fail_blank if fail(windows("14", "0", {"LimitBlankPasswordUse": "0"})) == {"may sign in over the network"}

test_fail_linux if {
	fail(linux([pwquality, unix], {})) == {"8 characters are enough"}
	fail(linux([pwquality, unix], {"minlen": "13"})) == {"13 characters are enough"}
	fail(linux(["requisite pam_pwquality.so minlen=9", unix], {"minlen": "14"})) == {"9 characters are enough"}
}

# What pwquality.conf says counts only where PAM asks it and listens.
test_fail_linux_without_effect if {
	fail(linux([unix], {"minlen": "14"})) == {"6 characters are enough"}
	fail(linux([unix], {"minlen": "long"})) == {"6 characters are enough"}
	fail(linux(["optional pam_pwquality.so", unix], {"minlen": "14"})) == {"6 characters are enough"}
	fail(linux([pwquality, unix], {"minlen": "14", "enforcing": "0"})) == {"6 characters are enough"}
}

test_fail_linux_each_file if {
	other := {"name": "pam", "source": "/etc/pam.d/system-auth", "key": "password", "value": unix}
	h := linux([pwquality, unix], {"minlen": "14"})
	{v.subject | some v in acc_04.violations} == {"/etc/pam.d/system-auth"} with input as {"host": h.host, "facts": {"password_rules": array.concat(h.facts.password_rules, [other])}}
}

test_unknown_windows if {
	unknown(windows("", "0", {}))
	unknown(windows("long", "0", {}))
	unknown(windows("14", "", {}))
	unknown(windows("14", "-1", {}))
	unknown(windows("14", "0", {"LimitBlankPasswordUse": ""}))
	unknown(windows("14", "0", {"LimitBlankPasswordUse": "2"}))
	unknown({"host": {"platform": "windows"}, "facts": {"security_profile": [], "lsa": []}})
}

test_unknown_linux if {
	unknown(linux([], {"minlen": "14"}))
	unknown(linux([pwquality, unix], {"minlen": "long"}))
	unknown(linux([pwquality, unix], {"minlen": ""}))
	unknown(linux(["required pam_passwdqc.so min=disabled,24,12,8,7", unix], {}))
	unknown(linux(["required pam_cracklib.so minlen=20", unix], {}))
	unknown(linux(["sufficient pam_sss.so use_authtok"], {}))
}

test_notes if {
	every n in ["14", "15"] {
		count(acc_04.notes) == 1 with input as windows(n, "0", {})
		count(acc_04.notes) == 1 with input as linux([pwquality, unix], {"minlen": n})
	}
	every n in ["13", "16"] {
		count(acc_04.notes) == 0 with input as windows(n, "0", {})
	}
}

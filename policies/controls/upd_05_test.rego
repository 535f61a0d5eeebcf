package muster.controls.upd_05_test

import data.muster.controls.upd_05

floors := {"chrome": 151, "edge": 151, "firefox": 151, "firefox_esr": 140}

host(platform, programs) := {
	"host": {"platform": platform, "profile": "workstation"},
	"facts": {"browsers": [{"name": name, "version": version} | some name, version in programs], "software": [{"program": "x 1"}]},
}

test_pass if {
	h := host("windows", {"Google Chrome": "151.0.1", "Mozilla Firefox 140.3.0 ESR (x64 en-US)": "140.3.0"})
	count(upd_05.violations) == 0 with input as h with data.lists.browser_floor as floors
	count(upd_05.unknown) == 0 with input as h with data.lists.browser_floor as floors
}

test_pass_linux if {
	h := host("linux", {"firefox-esr": "140.4.0esr-1", "chromium": "1:152.0.1-1"})
	count(upd_05.violations) == 0 with input as h with data.lists.browser_floor as floors
	count(upd_05.browsers) == 2 with input as h with data.lists.browser_floor as floors
}

test_fail_program if {
	h := host("windows", {"Google Chrome": "150.9"})
	count(upd_05.violations) == 1 with input as h with data.lists.browser_floor as floors
}

test_fail_file if {
	h := {"host": {"platform": "windows"}, "facts": {"browsers": [{"name": `C:\Program Files\Mozilla Firefox\firefox.exe`, "version": "140.0"}]}}
	count(upd_05.violations) == 1 with input as h with data.lists.browser_floor as floors
}

test_unknown_version if {
	h := host("windows", {"Google Chrome": ""})
	count(upd_05.unknown) == 1 with input as h with data.lists.browser_floor as floors
}

test_unknown_snap if {
	h := host("linux", {"firefox (snap)": ""})
	count(upd_05.violations) == 0 with input as h with data.lists.browser_floor as floors
	count(upd_05.unknown) == 1 with input as h with data.lists.browser_floor as floors
}

test_inapplicable if {
	count(upd_05.inapplicable) == 1 with input as host("linux", {}) with data.lists.browser_floor as floors
}

# One kind beside the other does not lend it the lower floor.
test_fail_old_firefox_beside_esr if {
	h := host("linux", {"firefox-esr": "140.4.0esr-1", "firefox": "145.0"})
	count(upd_05.violations) == 1 with input as h with data.lists.browser_floor as floors
	w := host("windows", {"Mozilla Firefox 140.3.0 ESR (x64 en-US)": "140.3.0", "Mozilla Firefox (x64 en-US)": "145.0"})
	count(upd_05.violations) == 1 with input as w with data.lists.browser_floor as floors
}

test_pass_file_of_esr if {
	h := host("windows", {"Mozilla Firefox 140.3.0 ESR (x64 en-US)": "140.3.0", `C:\Program Files\Mozilla Firefox\firefox.exe`: "140.3.0"})
	count(upd_05.violations) == 0 with input as h with data.lists.browser_floor as floors
}

test_unknown_floor_that_is_no_number if {
	every floor in ["151", null, true] {
		h := host("linux", {"firefox": "1.0"})
		count(upd_05.violations) == 0 with input as h with data.lists.browser_floor as {"firefox": floor}
		count(upd_05.unknown) == 1 with input as h with data.lists.browser_floor as {"firefox": floor}
	}
}

# Without dpkg there are no packages at all, and that says nothing of browsers.
test_unknown_without_programs if {
	h := {"host": {"platform": "linux"}, "facts": {"browsers": [], "software": []}}
	count(upd_05.inapplicable) == 0 with input as h with data.lists.browser_floor as floors
	count(upd_05.unknown) == 1 with input as h with data.lists.browser_floor as floors
}

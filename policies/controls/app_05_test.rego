package muster.controls.app_05_test

import data.muster.controls.app_05

good := {
	"username": "alice", "browser": "chrome", "name": "Reader", "identifier": "abc",
	"from_webstore": "true", "update_url": "https://clients2.google.com/service/update2/crx",
}

fox := {"username": "alice", "browser": "firefox", "name": "Reader", "identifier": "reader@x", "update_url": "https://addons.mozilla.org/firefox/downloads/file/1/x.xpi"}

chrome := "/usr/bin/google-chrome-stable"

host(extensions, addons, files) := {"facts": {
	"browser_extensions": extensions, "firefox_extensions": addons,
	"browser_files": [{"path": path} | some path in files],
}}

allowed := ["ABC", "reader@x"]

test_pass if {
	every e in [good, object.union(good, {"from_webstore": "1", "update_url": "https://edge.microsoft.com/extensionwebstorebase/v1/crx"})] {
		h := host([e], [fox], [chrome])
		count(app_05.violations) == 0 with input as h with data.lists.extensions_allowed as allowed
		count(app_05.unknown) == 0 with input as h with data.lists.extensions_allowed as allowed
		count(app_05.inapplicable) == 0 with input as h with data.lists.extensions_allowed as allowed
	}
}

test_pass_without_addons if {
	h := host([], [], [chrome])
	count(app_05.violations) == 0 with input as h with data.lists.extensions_allowed as []
	count(app_05.unknown) == 0 with input as h with data.lists.extensions_allowed as []
	count(app_05.inapplicable) == 0 with input as h with data.lists.extensions_allowed as []
}

test_fail_not_listed if {
	app_05.violations == {{"subject": "Reader (chrome of alice)", "found": "add-on abc", "want": "on the list extensions_allowed, or removed"}} with input as host([good], [], [chrome]) with data.lists.extensions_allowed as ["x"]
	count(app_05.violations) == 1 with input as host([], [fox], [chrome]) with data.lists.extensions_allowed as ["x"]
}

test_fail_not_from_a_store if {
	every no in ["false", "0", "False"] {
		count(app_05.violations) == 1 with input as host([object.union(good, {"from_webstore": no})], [], [chrome]) with data.lists.extensions_allowed as allowed
	}
	every url in ["https://updates.example.net/service/update2/crx", "http://clients2.google.com/service/update2/crx", "https://clients2.google.com.evil.example/service/update2/crx"] {
		count(app_05.violations) == 1 with input as host([object.union(good, {"update_url": url})], [], [chrome]) with data.lists.extensions_allowed as allowed
	}
	count(app_05.violations) == 1 with input as host([], [object.union(fox, {"update_url": "https://example.net/x.xpi"})], [chrome]) with data.lists.extensions_allowed as allowed
}

test_unknown_blank if {
	every blank in [{"from_webstore": ""}, {"from_webstore": "maybe"}, {"update_url": ""}] {
		h := host([object.union(good, blank)], [], [chrome])
		count(app_05.violations) == 0 with input as h with data.lists.extensions_allowed as allowed
		count(app_05.unknown) == 1 with input as h with data.lists.extensions_allowed as allowed
	}
}

test_unknown_packed_browser if {
	every path in ["/snap/bin/chromium", "/var/lib/flatpak/app/org.mozilla.firefox"] {
		count(app_05.unknown) == 1 with input as host([], [], [path, chrome]) with data.lists.extensions_allowed as allowed
	}
}

test_inapplicable_without_a_browser if {
	count(app_05.inapplicable) == 1 with input as host([], [], []) with data.lists.extensions_allowed as []
	count(app_05.inapplicable) == 0 with input as host([good], [], []) with data.lists.extensions_allowed as []
}

package muster.controls.ems_07_test

import data.muster.controls.ems_07

tools := ["dropbox*", "onedrive*", "microsoft onedrive*", "msedge.exe"]

good := {
	"software": [{"program": "Suite 5.20"}, {"program": "Microsoft Edge 151"}],
	"processes": [{"name": "studio.exe", "path": `C:\EMS\studio.exe`}],
	"autostart": [{"name": "SecurityHealth", "path": `C:\Windows\system32\SecurityHealthSystray.exe`}],
	"services": [{"name": "EventLog", "display_name": "Windows Event Log"}, {"name": "ssh.service"}],
	"cloud_settings": [],
}

host(facts) := {"facts": object.union(good, facts)}

counts(h, list) := n if {
	n := [count(ems_07.violations), count(ems_07.unknown)] with input as h with data.lists.cloud_tools as list
}

test_pass if counts(host({}), tools) == [0, 0]

test_fail_installed if counts(host({"software": [{"program": "Dropbox 190"}]}), tools) == [1, 0]

test_fail_running if {
	counts(host({"processes": [{"name": "Dropbox.exe", "path": ""}]}), tools) == [1, 0]
	counts(host({"processes": [{"name": "renamed", "path": `C:\x\msedge.exe`}]}), tools) == [1, 0]
}

test_fail_of_what_was_seen if {
	h := {"facts": {"software": good.software, "processes": [{"name": "Dropbox.exe", "path": ""}]}}
	counts(h, tools) == [1, 0]
}

test_fail_autostart if {
	counts(host({"autostart": [{"name": "OneDrive", "path": ""}]}), tools) == [1, 0]
	counts(host({"autostart": [{"name": "browser", "path": `C:\x\msedge.exe`}]}), tools) == [1, 0]
}

test_fail_service if {
	counts(host({"services": [{"name": "DropboxUpdate", "display_name": ""}]}), tools) == [1, 0]
	counts(host({"services": [{"name": "dbx", "display_name": "Dropbox Update"}]}), tools) == [1, 0]
}

test_fail_outlook if counts(host({"cloud_settings": [{"name": "outlook", "data": `HKEY_USERS\S-1-5-21-1\Outlook`}]}), tools) == [1, 0]

onedrive := {
	"software": [{"program": "Microsoft OneDrive 24.1"}],
	"services": [{"name": "OneDrive Updater Service", "display_name": "OneDrive Updater Service"}],
}

policy(value) := {"cloud_settings": [{"name": "disablefilesyncngsc", "data": value}]}

test_pass_onedrive_kept_off if counts(host(object.union(onedrive, policy("1"))), tools) == [0, 0]

test_fail_onedrive if {
	counts(host(onedrive), tools) == [2, 0]
	counts(host(object.union(onedrive, policy("0"))), tools) == [2, 0]
	counts(host(object.union(onedrive, {"cloud_settings": [{"name": "other", "data": "1"}]})), tools) == [2, 0]
	counts(host(object.union(policy("1"), {"processes": [{"name": "OneDrive.exe", "path": ""}]})), tools) == [1, 0]
	counts(host(object.union(policy("1"), {"software": [{"program": "Dropbox for OneDrive 190"}], "services": [{"name": "DropboxUpdate"}]})), tools) == [2, 0]
}

test_unknown_list if {
	every list in [[], [""], "dropbox"] {
		counts(host({}), list) == [0, 1]
	}
}

test_unknown_when_nothing_is_seen if {
	counts(host({"software": []}), tools) == [0, 1]
	counts(host({"processes": []}), tools) == [0, 1]
}

# The list that ships.
test_fail_each_kind_of_program if {
	every program in ["Dropbox 190", "Google Drive 90", "Box 2.4", "iCloud 7", "Nextcloud 3", "MEGAsync 4", "Microsoft Teams 24", "Zoom 5", "Slack 4", "Mozilla Thunderbird 128", "Google Chrome 151", "Mozilla Firefox 151", "firefox-esr 140", "chromium 151", "microsoft-edge-stable 151"] {
		counts(host({"software": [{"program": program}]}), data.lists.cloud_tools) == [1, 0]
	}
	counts(host({}), data.lists.cloud_tools) == [0, 0]
}

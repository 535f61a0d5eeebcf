package policies_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/recorded"
	"github.com/passmuster/muster/policies/bundle"
)

// What a statement leaves out no control can judge, so each of these says which
// rows must come through, and which must not.
func TestStatements(t *testing.T) {
	b, err := bundle.OpenDir(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	type tables = map[string][]muster.Row
	const enum = `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Enum`
	const person = `HKEY_USERS\S-1-5-21-1\Software\Microsoft\Windows\CurrentVersion\Policies\System`
	winlogon := func(hive string) string { return hive + `\Microsoft\Windows NT\CurrentVersion\Winlogon` }
	const netbt = `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\NetBT\Parameters\Interfaces`
	const profile = `HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\NetworkList\Profiles\{1}`
	for _, c := range []struct {
		name, fact string
		platform   muster.Platform
		tables     tables
		column     string
		want       []string
	}{
		{"a tunnel takes everything in halves", "routes", muster.Linux, tables{"routes": {
			{"destination": "0.0.0.0", "netmask": "1", "gateway": "10.8.0.1", "interface": "tun0", "type": "gateway"},
			{"destination": "128.0.0.0", "netmask": "1", "gateway": "10.8.0.1", "interface": "tun0", "type": "gateway"},
			{"destination": "2000::", "netmask": "3", "gateway": "", "interface": "tun0", "type": "gateway"},
			{"destination": "10.0.0.0", "netmask": "8", "gateway": "10.8.0.1", "interface": "tun0", "type": "gateway"},
			{"destination": "10.8.0.2", "netmask": "0", "gateway": "", "interface": "tun0", "type": "local"},
			{"destination": "::", "netmask": "0", "gateway": "", "interface": "lo", "type": "other"},
		}}, "destination", []string{"0.0.0.0", "128.0.0.0", "2000::"}},
		{"Windows has multicast routes", "routes", muster.Windows, tables{"routes": {
			{"destination": "0.0.0.0", "netmask": "0", "gateway": "10.0.0.1"},
			{"destination": "224.0.0.0", "netmask": "4", "gateway": "10.0.0.1"},
		}}, "destination", []string{"0.0.0.0"}},
		{"the servers behind systemd-resolved", "dns_servers", muster.Linux, tables{
			"dns_resolvers":      {{"type": "nameserver", "address": "127.0.0.53"}},
			"muster_dns_servers": {{"address": "8.8.8.8", "source": "resolved"}},
		}, "address", []string{"8.8.8.8"}},
		{"a folder is no journal", "eventlog_config", muster.Linux, tables{"file": {
			{"path": "/var/log/journal", "mtime": "1"},
			{"path": "/var/log/journal/0123/system.journal", "mtime": "2"},
			{"path": "/var/log/auth.log", "mtime": "3"},
		}}, "path", []string{"/var/log/auth.log", "/var/log/journal/0123/system.journal"}},
		{"a ping has no port", "listening", muster.Linux, tables{"processes": {{"pid": "1", "name": "p"}}, "listening_ports": {
			{"pid": "1", "port": "22", "protocol": "6", "address": "0.0.0.0"},
			{"pid": "1", "port": "1", "protocol": "255", "address": "0.0.0.0"},
			{"pid": "1", "port": "53", "protocol": "17", "address": "127.0.0.54"},
			{"pid": "-1", "port": "2049", "protocol": "136", "address": "::"},
		}}, "port", []string{"22", "2049"}},
		{"a file system that does not answer", "disk_space", muster.Linux, tables{"mounts": {
			{"path": "/", "type": "ext4", "blocks": "0", "blocks_available": "0", "blocks_size": "0"},
			{"path": "/proc", "type": "proc", "blocks": "0", "blocks_available": "0", "blocks_size": "4096"},
		}}, "volume", []string{"/"}},
		{"a locked drive", "disk_space", muster.Windows, tables{"logical_drives": {
			{"device_id": "C:", "size": "-1"}, {"device_id": "D:", "size": ""}, {"device_id": "E:", "size": "0"},
		}}, "volume", []string{"C:", "D:"}},
		{"a restart is one", "reboot_pending", muster.Linux, tables{"file": {
			{"path": "/run/reboot-required", "filename": "reboot-required"},
			{"path": "/var/run/reboot-required", "filename": "reboot-required"},
		}}, "name", []string{"reboot-required"}},
		{"an account of this computer has no computer's name", "admin_members", muster.Windows, tables{
			"muster_accounts": {{"uuid": "S-1-5-21-1-500", "username": "Administrator", "enabled": "0"}},
			"muster_group_members": {
				{"group_sid": "S-1-5-32-544", "member_sid": "S-1-5-21-1-500", "member_name": `PC\Administrator`, "member_type": "user"},
				{"group_sid": "S-1-5-32-544", "member_sid": "S-1-5-21-9-512", "member_name": `COUNTY\Domain Admins`, "member_type": "group"},
				{"group_sid": "S-1-5-32-545", "member_sid": "S-1-5-11", "member_name": `NT AUTHORITY\Authenticated Users`, "member_type": "well_known_group"},
			}}, "username", []string{"Administrator", `COUNTY\Domain Admins`}},
		{"a person without a screen saver is there, too", "screen_lock", muster.Windows, tables{"users": {}, "registry": {
			{"key": "HKEY_USERS", "path": `HKEY_USERS\.DEFAULT`, "name": ".DEFAULT", "type": "subkey"},
			{"key": "HKEY_USERS", "path": `HKEY_USERS\S-1-5-21-1`, "name": "S-1-5-21-1", "type": "subkey"},
			{"key": "HKEY_USERS", "path": `HKEY_USERS\S-1-5-21-1_Classes`, "name": "S-1-5-21-1_Classes", "type": "subkey"},
			{"key": `HKEY_USERS\.DEFAULT\Control Panel\Desktop`, "path": `HKEY_USERS\.DEFAULT\Control Panel\Desktop\ScreenSaveActive`, "name": "ScreenSaveActive"},
			{"key": `HKEY_USERS\S-1-5-21-2\Control Panel\Desktop`, "path": `HKEY_USERS\S-1-5-21-2\Control Panel\Desktop\ScreenSaveActive`, "name": "ScreenSaveActive"},
		}}, "key", []string{`HKEY_USERS\S-1-5-21-2\Control Panel\Desktop`, `HKEY_USERS\S-1-5-21-1`}},
		{"MATE counts minutes", "screen_lock", muster.Linux, tables{"muster_desktop_settings": {
			{"schema": "org.mate.session", "key": "idle-delay", "value": "5"},
			{"schema": "org.gnome.desktop.media-handling", "key": "automount", "value": "true"},
		}}, "unit", []string{"60"}},
		{"a desktop has several sessions", "desktop_sessions", muster.Linux, tables{"file": {
			{"path": "/usr/share/wayland-sessions/gnome.desktop", "filename": "gnome.desktop"},
			{"path": "/usr/share/xsessions/gnome-xorg.desktop", "filename": "gnome-xorg.desktop"},
			{"path": "/usr/share/xsessions/i3.desktop", "filename": "i3.desktop"},
			{"path": "/usr/share/xsessions/lightdm-xsession.desktop", "filename": "lightdm-xsession.desktop"},
		}}, "desktop", []string{"GNOME", "i3"}},
		{"freshclam is no antivirus", "antivirus", muster.Linux, tables{"processes": {
			{"pid": "1", "name": "systemd"}, {"pid": "7", "name": "freshclam"}, {"pid": "8", "name": "clamd"},
		}}, "name", []string{"systemd", "clamd"}},
		{"the kernel's list of guards", "lsa", muster.Linux, tables{
			"muster_lsm": {{"lsm": "apparmor", "value": "enforce"}},
			"file":       {{"path": "/sys/kernel/security/lsm"}, {"path": "/sys/kernel/security/evm"}},
		}, "lsm", []string{"apparmor", "list"}},
		{"the day of a SYSTEMTIME", "network_profiles", muster.Windows, tables{"registry": {
			{"key": profile, "name": "DateCreated", "type": "REG_BINARY", "data": "EA070A0003000F000C00120000000000"},
			{"key": profile, "name": "NameType", "type": "REG_DWORD", "data": "71"},
			{"key": profile, "name": "ProfileName", "type": "REG_SZ", "data": "Cafe"},
			{"key": profile, "name": "Category", "type": "REG_DWORD", "data": "0"},
		}}, "created", []string{"2026-10-15"}},
		{"fast sticks and phones are media, too", "usb_history", muster.Windows, tables{"registry": {
			{"key": enum + `\USBSTOR\Disk&Ven_A`, "path": enum + `\USBSTOR\Disk&Ven_A\01&0`, "name": "01&0", "type": "subkey"},
			{"key": enum + `\USB\VID_1\02`, "path": enum + `\USB\VID_1\02\Service`, "name": "Service", "type": "REG_SZ", "data": "UASPStor"},
			{"key": enum + `\USB\VID_2\03`, "path": enum + `\USB\VID_2\03\Service`, "name": "Service", "type": "REG_SZ", "data": "WUDFWpdMtp"},
			{"key": enum + `\USB\VID_3\04`, "path": enum + `\USB\VID_3\04\Service`, "name": "Service", "type": "REG_SZ", "data": "HidUsb"},
		}}, "path", []string{enum + `\USBSTOR\Disk&Ven_A\01&0`, enum + `\USB\VID_1\02`, enum + `\USB\VID_2\03`}},
		{"a medium is no server", "online_updates", muster.Linux, tables{"file": {
			{"path": "/var/lib/apt/lists/deb.debian.org_debian_dists_trixie_InRelease", "filename": "deb.debian.org_debian_dists_trixie_InRelease", "ctime": "1"},
			{"path": "/var/lib/apt/lists/_srv_dists_trixie_InRelease", "filename": "_srv_dists_trixie_InRelease", "ctime": "1"},
			{"path": "/var/lib/apt/lists/Debian%20GNU_dists_trixie_Release", "filename": "Debian%20GNU_dists_trixie_Release", "ctime": "1"},
		}}, "server", []string{"deb.debian.org"}},
		{"wusa installs from a medium", "online_updates", muster.Windows, tables{"windows_update_history": {
			{"title": "1", "operation": "Installation", "result_code": "Succeeded", "client_app_id": "UpdateOrchestrator", "date": "1"},
			{"title": "2", "operation": "Installation", "result_code": "SucceededWithErrors", "client_app_id": "", "date": "1"},
			{"title": "3", "operation": "Installation", "result_code": "Succeeded", "client_app_id": "wusa", "date": "1"},
			{"title": "4", "operation": "Installation", "result_code": "Failed", "client_app_id": "UpdateOrchestrator", "date": "1"},
		}}, "name", []string{"1", "2"}},
		{"a Wi-Fi card without a driver", "radio_hardware", muster.Linux, tables{
			"muster_radios": {{"kind": "wifi", "name": "phy0", "blocked": "0"}},
			"pci_devices": {
				{"pci_slot": "1", "pci_class_id": "0x02", "pci_subclass_id": "0x80", "driver": ""},
				{"pci_slot": "2", "pci_class_id": "0x02", "pci_subclass_id": "0x80", "driver": "iwlwifi"},
				{"pci_slot": "3", "pci_class_id": "0x02", "pci_subclass_id": "0x00", "driver": ""},
				{"pci_slot": "4", "pci_class_id": "0x0d", "pci_subclass_id": "0x11", "driver": ""},
			}}, "name", []string{"phy0", "card without a driver in slot 4", "card without a driver in slot 1"}},
		{"a drop-in changes what a unit starts", "autostart_services", muster.Linux, tables{"file": {
			{"path": "/etc/systemd/system/multi-user.target.wants/ssh.service", "filename": "ssh.service", "symlink_target_path": "/lib/systemd/system/ssh.service"},
			{"path": "/etc/systemd/system/ssh.service.d/more.conf", "filename": "more.conf", "symlink_target_path": ""},
			{"path": "/etc/systemd/system/a.service.requires/b.service", "filename": "b.service", "symlink_target_path": "/b.service"},
			{"path": "/etc/systemd/system/masked.service", "filename": "masked.service", "symlink_target_path": "/dev/null"},
			{"path": "/etc/systemd/user/default.target.wants/c.service", "filename": "c.service", "symlink_target_path": "/c.service"},
		}}, "path", []string{"/lib/systemd/system/ssh.service", "/b.service", "/etc/systemd/system/ssh.service.d/more.conf", "/c.service"}},
		{"a person's own shell", "winlogon_hooks", muster.Windows, tables{"registry": {
			{"key": winlogon(`HKEY_LOCAL_MACHINE\SOFTWARE`), "path": winlogon(`HKEY_LOCAL_MACHINE\SOFTWARE`) + `\Shell`, "name": "Shell", "data": "explorer.exe"},
			{"key": winlogon(`HKEY_LOCAL_MACHINE\SOFTWARE`), "path": winlogon(`HKEY_LOCAL_MACHINE\SOFTWARE`) + `\DefaultUserName`, "name": "DefaultUserName", "data": "m"},
			{"key": winlogon(`HKEY_USERS\S-1-5-21-1\Software`), "path": winlogon(`HKEY_USERS\S-1-5-21-1\Software`) + `\Shell`, "name": "Shell", "data": "evil.exe"},
			{"key": person, "path": person + `\Shell`, "name": "Shell", "data": "worse.exe"},
		}}, "data", []string{"explorer.exe", "evil.exe", "worse.exe"}},
		{"a clock that is right to the microsecond", "time_sync", muster.Linux, tables{"muster_time_sync": {
			{"synchronized": "1", "offset_seconds": "0.000012", "service": "chronyd"},
		}}, "offset_seconds", []string{"1.2e-05"}},
		{"drivers are no services", "installed_services", muster.Windows, tables{"services": {
			{"name": "disk", "service_type": "KERNEL_DRIVER"}, {"name": "EventLog", "service_type": "SHARE_PROCESS"},
		}}, "name", []string{"EventLog"}},
		{"a link is another unit's name", "installed_services", muster.Linux, tables{"file": {
			{"path": "/etc/systemd/system/sshd.service", "filename": "sshd.service", "symlink": "1"},
			{"path": "/etc/systemd/system/local.service", "filename": "local.service", "symlink": "0"},
		}}, "name", []string{"local.service"}},
		{"an interface that says nothing of NetBIOS", "name_resolution", muster.Windows, tables{"registry": {
			{"key": netbt, "path": netbt + `\Tcpip_{1}`, "name": "Tcpip_{1}", "type": "subkey"},
			{"key": netbt + `\Tcpip_{2}`, "path": netbt + `\Tcpip_{2}\NetbiosOptions`, "name": "NetbiosOptions", "type": "REG_DWORD", "data": "2"},
		}}, "data", []string{"2", "0"}},
		{"a person's own root", "root_certs", muster.Windows, tables{"certificates": {
			{"common_name": "a", "sha1": "1", "store": "Root", "store_location": "LocalMachine"},
			{"common_name": "a", "sha1": "1", "store": "Root", "store_location": "Users"},
			{"common_name": "b", "sha1": "2", "store": "Trusted Root Certification Authorities", "store_location": "Users"},
			{"common_name": "c", "sha1": "3", "store": "My", "store_location": "Users"},
		}}, "name", []string{"a", "b"}},
		{"a person's own browser", "browsers", muster.Windows, tables{"programs": {}, "file": {
			{"path": `C:\Users\amy\AppData\Local\Google\Chrome\Application\chrome.exe`, "file_version": "1"},
			{"path": `C:\Users\amy\AppData\Local\Mozilla Firefox\firefox.exe`, "file_version": "2"},
			{"path": `C:\Program Files (x86)\Mozilla Firefox\firefox.exe`, "file_version": "3"},
		}}, "version", []string{"3", "1", "2"}},
		{"packed browsers", "browsers", muster.Linux, tables{"muster_packages": {
			{"name": "firefox", "version": "1:1snap1-0ubuntu5", "manager": "deb"}, {"name": "firefox", "version": "151.0-1", "manager": "snap"},
			{"name": "org.mozilla.firefox", "version": "", "manager": "flatpak"}, {"name": "chromium", "version": "156", "manager": "rpm"},
			{"name": "core22", "version": "1", "manager": "snap"},
		}}, "name", []string{"chromium", "firefox (snap)", "firefox (flatpak)"}},
		{"stamps of a computer without a network", "update_history", muster.Linux, tables{"file": {
			{"path": "/var/lib/apt/periodic/update-stamp", "mtime": "1"},
			{"path": "/var/lib/apt/periodic/unattended-upgrades-stamp", "mtime": "2"},
			{"path": "/var/lib/apt/periodic/update-success-stamp", "mtime": "3"},
			{"path": "/var/lib/apt/lists/mirror_debian-security_dists_trixie-security_InRelease", "mtime": "4"},
			{"path": "/var/lib/apt/lists/mirror_debian_dists_trixie_InRelease", "mtime": "5"},
		}}, "mtime", []string{"4", "3"}},
		{"a zone that lets everything in", "firewall_service", muster.Linux, tables{
			"muster_settings": {{"name": "firewalld", "key": "DefaultZone", "value": "public", "effective": "1"}},
			"file":            {{"path": "/etc/firewalld/zones/trusted.xml"}, {"path": "/etc/firewalld/zones/public.xml"}},
		}, "status", []string{"public", "trusted for some"}},
		{"what stands before the first section is global", "smb_settings", muster.Linux, tables{"muster_settings": {
			{"name": "samba", "section": "", "key": "server min protocol", "value": "NT1", "effective": "1"},
			{"name": "samba", "section": "Global", "key": "min protocol", "value": "SMB2", "effective": "1"},
			{"name": "samba", "section": "scans", "key": "min protocol", "value": "LANMAN1", "effective": "1"},
		}}, "data", []string{"NT1", "SMB2"}},
		{"a program without version", "software", muster.Windows, tables{"programs": {{"name": "AnyDesk", "version": ""}}}, "program", []string{"AnyDesk "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema, err := facts.NewSchema(nil)
			if err != nil {
				t.Fatal(err)
			}
			defer schema.Close()
			recording := &recorded.Recording{Version: recorded.Version, RecordedAt: time.Now(), Platform: c.platform, Tables: c.tables}
			engine, err := recording.Engine(schema)
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			g := &facts.Gatherer{Builtin: engine, Schema: schema, Platform: c.platform}
			r := g.Gather(context.Background(), []muster.Fact{b.Facts[c.fact]}, nil)[0]
			if r.Status != muster.FactOK {
				t.Fatal(r.Status, r.Reason)
			}
			var got []string
			for _, row := range r.Rows {
				got = append(got, row[c.column])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

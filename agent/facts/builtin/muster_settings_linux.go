package builtin

import (
	"context"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterSettings are the settings of the programs that the baseline judges, and
// that osquery cannot read or reads without their drop-in folders. name is the
// program's; a setting that a later line overrides has effective 0. A program
// that is not there has no rows. Only these files are read, of apt only what
// concerns updates and nothing that is named a password: a proxy may have one.
func (h host) musterSettings() facts.Table {
	return facts.Table{
		Name: "muster_settings", Platforms: onLinux, Source: "files in /etc",
		Columns: columns("name text, source text, section text, key text, value text, effective integer"),
		Rows: list(func(_ context.Context, q facts.Query) ([]muster.Row, error) {
			want, one := q.Equals("name")
			var rows []muster.Row
			for _, f := range settingFiles {
				if one && f.name != want {
					continue
				}
				settings, err := h.settings(f.paths, f.parse)
				if err != nil {
					return nil, err
				}
				last := lastOf(settings)
				for i, s := range settings {
					if !strings.HasPrefix(s.key, f.only) || strings.HasSuffix(s.key, "-password") {
						continue
					}
					adds := f.lines || strings.HasSuffix(s.key, "::")
					rows = append(rows, muster.Row{"name": f.name, "source": s.source, "section": s.section, "key": s.key,
						"value": s.value, "effective": flag(adds || last[[2]string{s.section, s.key}] == i)})
				}
			}
			return rows, nil
		}),
	}
}

var aptFiles = []string{"/etc/apt/apt.conf.d/*", "/etc/apt/apt.conf"}

// settingFiles lists each program's files in the order in which it reads them.
var settingFiles = []struct {
	name  string
	paths []string
	parse func(text string) []setting
	only  string // keys begin with it
	lines bool   // every line stands for itself: none overrides another
}{
	{name: "pwquality", parse: parseINI, paths: []string{"/etc/security/pwquality.conf.d/*.conf", "/etc/security/pwquality.conf"}},
	{name: "faillock", parse: parseINI, paths: []string{"/etc/security/faillock.conf"}},
	{name: "login.defs", parse: parseWords, paths: []string{"/etc/login.defs"}},
	{name: "pam", parse: parseWords, lines: true, paths: []string{"/etc/pam.d/common-auth", "/etc/pam.d/common-password",
		"/etc/pam.d/system-auth", "/etc/pam.d/password-auth"}},
	{name: "ufw", parse: parseINI, paths: []string{"/etc/default/ufw", "/etc/ufw/ufw.conf"}},
	{name: "firewalld", parse: parseINI, paths: []string{"/etc/firewalld/firewalld.conf"}},
	{name: "journald", parse: parseINI, paths: systemdFiles("journald")},
	{name: "logind", parse: parseINI, paths: systemdFiles("logind")},
	{name: "resolved", parse: parseINI, paths: systemdFiles("resolved")},
	{name: "timesyncd", parse: parseINI, paths: systemdFiles("timesyncd")},
	{name: "samba", parse: parseINI, paths: []string{"/etc/samba/smb.conf"}},
	{name: "exports", parse: parseWords, lines: true, paths: []string{"/etc/exports"}},
	{name: "dnf-automatic", parse: parseINI, only: "apply_updates", paths: []string{"/etc/dnf/automatic.conf"}},
	{name: "apt", parse: parseApt, only: "APT::Periodic::", paths: aptFiles},
	{name: "unattended-upgrades", parse: parseApt, only: "Unattended-Upgrade::", paths: aptFiles},
	{name: "modprobe", parse: parseWords, lines: true, paths: []string{"/usr/lib/modprobe.d/*.conf", "/run/modprobe.d/*.conf",
		"/etc/modprobe.d/*.conf"}},
	{name: "lightdm", parse: parseINI, only: "allow-guest", paths: []string{"/usr/share/lightdm/lightdm.conf.d/*.conf",
		"/etc/xdg/lightdm/lightdm.conf.d/*.conf", "/etc/lightdm/lightdm.conf.d/*.conf", "/etc/lightdm/lightdm.conf"}},
	{name: "dconf", parse: parseINI, paths: []string{"/etc/dconf/db/local.d/*"}},
	{name: "dconf-locks", parse: parseWords, lines: true, paths: []string{"/etc/dconf/db/local.d/locks/*"}},
}

// systemdFiles are a program's settings and its drop-ins, which come after
// them in order of their folders.
func systemdFiles(name string) []string {
	name += ".conf"
	return []string{"/usr/lib/systemd/" + name, "/etc/systemd/" + name, "/usr/lib/systemd/" + name + ".d/*.conf",
		"/run/systemd/" + name + ".d/*.conf", "/etc/systemd/" + name + ".d/*.conf"}
}

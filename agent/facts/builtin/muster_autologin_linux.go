package builtin

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterAutologin lists every setting by which somebody is signed in without a
// password, for each program that shows the sign-in screen. enabled is 1 where
// the setting takes effect: it is switched on and no later file overrides it.
func (h host) musterAutologin() facts.Table {
	return facts.Table{
		Name: "muster_autologin", Platforms: onLinux, Whole: true, Source: "gdm, sddm, lightdm, lxdm, greetd, getty",
		Columns: columns("source text, manager text, key text, value text, enabled integer"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			var rows []muster.Row
			for _, m := range loginManagers {
				settings, err := h.settings(m.files, parseINI)
				if err != nil {
					return nil, err
				}
				rows = append(rows, m.logins(settings)...)
			}
			gettys, err := h.gettyLogins()
			return append(rows, gettys...), err
		}),
	}
}

// loginManager says where a sign-in program keeps its settings and which of
// them sign somebody in.
type loginManager struct {
	name  string
	files []string // in the order in which they are read: a later one overrides
	// keys that matter, as "section/key" with * for any ending of the section;
	// the value is the key of the same section that must also be true, or "".
	keys map[string]string
}

var gdmKeys = map[string]string{
	"daemon/AutomaticLoginEnable": "", "daemon/AutomaticLogin": "AutomaticLoginEnable",
	"daemon/TimedLoginEnable": "", "daemon/TimedLogin": "TimedLoginEnable",
}

var loginManagers = []loginManager{
	// Each system builds its gdm to read one of these, so none overrides another.
	{"gdm", []string{"/etc/gdm/custom.conf"}, gdmKeys},
	{"gdm", []string{"/etc/gdm3/custom.conf"}, gdmKeys},
	{"gdm", []string{"/etc/gdm3/daemon.conf"}, gdmKeys},
	{"sddm", []string{"/usr/lib/sddm/sddm.conf.d/*.conf", "/etc/sddm.conf.d/*.conf", "/etc/sddm.conf"}, map[string]string{
		"Autologin/User": ""}},
	{"lightdm", []string{"/usr/share/lightdm/lightdm.conf.d/*.conf", "/etc/xdg/lightdm/lightdm.conf.d/*.conf",
		"/etc/lightdm/lightdm.conf.d/*.conf", "/etc/lightdm/lightdm.conf"}, map[string]string{
		"Seat*/autologin-user": "", "Seat*/autologin-guest": ""}},
	{"lxdm", []string{"/etc/lxdm/lxdm.conf"}, map[string]string{"base/autologin": ""}},
	{"greetd", []string{"/etc/greetd/config.toml"}, map[string]string{"initial_session/user": ""}},
}

// key reports whether the setting is one of the manager's keys, and which key
// must be true with it.
func (m loginManager) key(s setting) (needs string, ok bool) {
	for k, needs := range m.keys {
		section, key, _ := strings.Cut(k, "/")
		prefix, open := strings.CutSuffix(section, "*")
		if key == s.key && (section == s.section || open && strings.HasPrefix(s.section, prefix)) {
			return needs, true
		}
	}
	return "", false
}

func (m loginManager) logins(settings []setting) []muster.Row {
	last := lastOf(settings)
	var rows []muster.Row
	for i, s := range settings {
		needs, ok := m.key(s)
		if !ok {
			continue
		}
		on := isOn(s.value) && last[[2]string{s.section, s.key}] == i
		if needs != "" {
			at, ok := last[[2]string{s.section, needs}]
			on = on && ok && isOn(settings[at].value)
		}
		rows = append(rows, muster.Row{"source": s.source, "manager": m.name, "key": s.key, "value": s.value,
			"enabled": flag(on)})
	}
	return rows
}

// isOn reports whether a value names a user or is a yes.
func isOn(value string) bool {
	switch strings.ToLower(value) {
	case "", "false", "no", "off", "0":
		return false
	}
	return true
}

// gettyLogins looks for agetty --autologin in units and their drop-ins.
func (h host) gettyLogins() ([]muster.Row, error) {
	var rows []muster.Row
	for _, folder := range []string{"/usr/lib/systemd/system", "/usr/local/lib/systemd/system", "/run/systemd/system", "/etc/systemd/system"} {
		names, err := h.dir(folder)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if !strings.Contains(name, "getty") && !strings.HasPrefix(name, "autovt") {
				continue
			}
			unit := filepath.Join(folder, name)
			files := []string{unit}
			if strings.HasSuffix(name, ".d") {
				drops, err := h.dir(unit)
				if err != nil {
					return nil, err
				}
				files = files[:0]
				for _, d := range drops {
					if strings.HasSuffix(d, ".conf") {
						files = append(files, filepath.Join(unit, d))
					}
				}
			} else if !strings.HasSuffix(name, ".service") {
				continue
			}
			for _, file := range files {
				text, err := h.textIfAny(file)
				if err != nil {
					return nil, err
				}
				if user := gettyAutologin(text); user != "" {
					rows = append(rows, muster.Row{"source": file, "manager": "getty", "key": "--autologin", "value": user,
						"enabled": "1"})
				}
			}
		}
	}
	return rows, nil
}

// gettyAutologin is the user whom the unit's last command signs in, or "".
func gettyAutologin(unit string) string {
	user := ""
	for _, e := range parseINI(unit) {
		if e.section != "Service" || e.key != "ExecStart" {
			continue
		}
		user = ""
		words := strings.Fields(e.value)
		for i, w := range words {
			name, given := strings.CutPrefix(w, "--autologin=")
			if !given {
				name, given = strings.CutPrefix(w, "-a")
			}
			if (w == "--autologin" || w == "-a") && i+1 < len(words) {
				name, given = words[i+1], true
			}
			if given {
				user = strings.Trim(name, `"'`)
			}
		}
	}
	return user
}

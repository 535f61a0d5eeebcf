package builtin

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterDesktopSettings are the settings of screen lock, removable media and
// proxies that take effect for each person with an account here and, with
// username "", for a new one: of GNOME, Cinnamon and MATE as gsettings(1) would
// print them, without types and quotes, of Plasma and Xfce the screen lock.
// source is the file that decides, locked 1 where the person cannot change the
// value. idle-delay counts seconds, in MATE minutes. Where a desktop has a
// default of its own (XDG_CURRENT_DESKTOP), that is one more row, whose source
// names it. A schema that is not installed, or a desktop that is not there, has
// no rows. Others' homes need root. People of a directory service, whom
// /etc/passwd does not know, are not seen.
func (h host) musterDesktopSettings() facts.Table {
	return facts.Table{
		Name: "muster_desktop_settings", Platforms: onLinux, Whole: true, Source: "dconf, GSettings schemas, Plasma, xfconf",
		Columns: columns("username text, schema text, key text, value text, source text, locked integer"),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			accounts, err := h.accounts()
			if err != nil {
				return nil, err
			}
			schemas, err := h.desktopSchemas()
			if err != nil {
				return nil, err
			}
			people := []account{{}}
			for _, a := range accounts {
				if a.isHuman() {
					people = append(people, a)
				}
			}
			var rows []muster.Row
			for _, who := range people {
				for _, read := range []func(account) ([]muster.Row, error){
					func(a account) ([]muster.Row, error) { return h.gsettings(a, "user", schemas.people) },
					h.plasmaLock, h.xfceLock,
				} {
					if err := ctx.Err(); err != nil {
						return nil, err
					}
					own, err := read(who)
					if err != nil {
						return nil, fmt.Errorf("read the desktop settings of %q: %w", who.name, err)
					}
					for _, r := range own {
						r["username"] = who.name
					}
					rows = append(rows, own...)
				}
			}
			screen, err := h.loginScreen(accounts, schemas.login)
			return append(rows, screen...), err
		}),
	}
}

// isHuman reports whether a person may sign in with the account.
func (a account) isHuman() bool {
	uid, err := strconv.ParseUint(a.uid, 10, 32)
	return err == nil && uid >= 1000 && uid != 65534 && isLoginShell(a.shell)
}

// loginScreen are the settings of the sign-in screen, which is a user of its own.
func (h host) loginScreen(accounts []account, keys []schemaKey) ([]muster.Row, error) {
	gdm := account{name: "gdm"}
	for _, a := range accounts {
		if a.name == "gdm" || a.name == "Debian-gdm" {
			gdm = a
		}
	}
	rows, err := h.gsettings(gdm, "gdm", keys)
	for _, r := range rows {
		r["username"] = gdm.name
	}
	return rows, err
}

// gsettings are the values of the keys that the person, or "" a new one, has
// under the profile of dconf.
func (h host) gsettings(who account, profile string, keys []schemaKey) ([]muster.Row, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	layers, err := h.dconfLayers(who, profile)
	if err != nil {
		return nil, err
	}
	var rows []muster.Row
	for _, k := range keys {
		value, source, locked, err := layers.value(k.path + k.key)
		if err != nil {
			return nil, err
		}
		row := func(v gvariant, source string) error {
			text, err := v.text()
			if err != nil {
				return fmt.Errorf("read %s%s in %s: %w", k.path, k.key, source, err)
			}
			rows = append(rows, muster.Row{"schema": k.schema, "key": k.key, "value": maskPassword(text), "source": source, "locked": flag(locked)})
			return nil
		}
		// As GSettings does: a value of another type does not count.
		if value.typ == k.fallback.typ {
			if err := row(value, source); err != nil {
				return nil, err
			}
			continue
		}
		if err := row(k.fallback, k.source); err != nil {
			return nil, err
		}
		for _, d := range k.desktops {
			if err := row(d.value, k.source+" for "+d.desktop); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

// dconfLayer is one database; locks is nil where it has none.
type dconfLayer struct {
	source        string
	values, locks *gvdb
}

// dconfLayers are the databases of a profile, the one that decides first.
type dconfLayers struct {
	layers   []dconfLayer
	readOnly bool // the first database is not the person's own
}

// value follows dconf: the last lock hides what stands before it, and of the
// rest the first value counts. Its type is "" where there is none.
func (d dconfLayers) value(path string) (v gvariant, source string, locked bool, err error) {
	first := 0
	for i := len(d.layers) - 1; i > 0; i-- {
		if d.layers[i].locks.has(path) {
			first = i
			break
		}
	}
	locked = d.readOnly || first > 0
	for _, l := range d.layers[first:] {
		if l.values.has(path) {
			v, err = l.values.value(path)
			if err != nil {
				err = fmt.Errorf("read %s in %s: %w", path, l.source, err)
			}
			return v, l.source, locked, err
		}
	}
	return gvariant{}, "", locked, nil
}

// dconfLayers opens the databases that dconf(7) lists for the profile. A
// profile named by a person's own environment is not seen.
func (h host) dconfLayers(who account, profile string) (dconfLayers, error) {
	text := ""
	for _, path := range []string{"/run/dconf/user/" + who.uid, "/etc/dconf/profile/" + profile,
		"/usr/local/share/dconf/profile/" + profile, "/usr/share/dconf/profile/" + profile} {
		var err error
		if text, err = h.textIfAny(path); text != "" || err != nil {
			if err != nil {
				return dconfLayers{}, err
			}
			break
		}
	}
	if text == "" {
		text = "user-db:user"
	}
	var d dconfLayers
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		kind, name, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		l := dconfLayer{}
		switch kind {
		case "user-db":
			if who.home != "" {
				l.source = who.home + "/.config/dconf/" + name
			}
		case "system-db":
			l.source = "/etc/dconf/db/" + name
		case "file-db":
			l.source = name
		default:
			return d, fmt.Errorf("dconf keeps settings in a %s: %w", kind, facts.ErrUnavailable)
		}
		var err error
		if l.values, err = h.openGVDB(who.uid, l.source); err != nil {
			return d, err
		}
		if l.values != nil && kind != "user-db" {
			if l.locks, err = l.values.table(".locks"); err != nil {
				return d, fmt.Errorf("read %s: %w", l.source, err)
			}
		}
		d.readOnly = d.readOnly || len(d.layers) == 0 && kind != "user-db"
		d.layers = append(d.layers, l)
	}
	return d, nil
}

// openGVDB reads a database that may be its owner's; nil where there is none.
func (h host) openGVDB(owner, path string) (*gvdb, error) {
	if path == "" {
		return nil, nil
	}
	text, err := h.homeText(owner, path)
	if text == "" || err != nil {
		return nil, err
	}
	t, err := parseGVDB([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return t, nil
}

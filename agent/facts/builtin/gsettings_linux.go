package builtin

import "fmt"

// schemaKey is one key of an installed GSettings schema.
type schemaKey struct {
	schema, key string
	path        string // where dconf keeps the schema's keys; ends in /
	source      string // the file of compiled schemas
	fallback    gvariant
	desktops    []desktopDefault
}

// desktopDefault is the default that a key has on one desktop.
type desktopDefault struct {
	desktop string
	value   gvariant
}

// desktopKeys are the keys that matter to the baseline: people's, and the
// sign-in screen's.
type desktopKeys struct{ people, login []schemaKey }

// schemaFile is a file of compiled schemas, with what vendors override.
type schemaFile struct {
	path    string
	schemas *gvdb
}

// desktopSchemas finds the keys whose schemas are installed. A key without
// schema has no value: no program can ask for it.
func (h host) desktopSchemas() (found desktopKeys, err error) {
	var files []schemaFile
	for _, folder := range []string{"/usr/local/share", "/usr/share"} {
		path := folder + "/glib-2.0/schemas/gschemas.compiled"
		schemas, err := h.openGVDB("0", path)
		if err != nil {
			return found, err
		}
		if schemas != nil {
			files = append(files, schemaFile{path, schemas})
		}
	}
	add := func(to *[]schemaKey, schema string, keys ...string) {
		for _, f := range files {
			own, has, ferr := f.keys(schema, keys)
			if ferr != nil {
				err = fmt.Errorf("read the schema %s in %s: %w", schema, f.path, ferr)
			}
			if has {
				*to = append(*to, own...)
				return
			}
		}
	}
	for _, desktop := range []string{"org.gnome.desktop", "org.cinnamon.desktop", "org.mate"} {
		add(&found.people, desktop+".session", "idle-delay")
		add(&found.people, desktop+".screensaver", "lock-enabled", "lock-delay", "idle-activation-enabled")
		add(&found.people, desktop+".media-handling", "automount", "automount-open", "autorun-never")
		add(&found.people, desktop+".lockdown", "disable-lock-screen")
	}
	add(&found.people, "org.gnome.system.proxy", "mode", "autoconfig-url")
	add(&found.people, "org.gnome.system.proxy.http", "host", "port")
	add(&found.login, "org.gnome.login-screen", "disable-user-list")
	return found, err
}

// keys reads those of the keys that the schema has, and whether the file has
// the schema.
func (f schemaFile) keys(schema string, keys []string) (found []schemaKey, has bool, err error) {
	t, err := f.schemas.table(schema)
	if t == nil || err != nil {
		return nil, false, err
	}
	at, err := t.value(".path")
	if err != nil || at.typ == "" {
		return nil, true, err
	}
	path, err := at.text()
	if err != nil {
		return nil, true, err
	}
	for _, key := range keys {
		if !t.has(key) {
			continue
		}
		k := schemaKey{schema: schema, key: key, path: path, source: f.path}
		v, err := t.value(key)
		if err == nil {
			err = k.describe(v)
		}
		if err != nil {
			return nil, true, fmt.Errorf("key %s: %w", key, err)
		}
		found = append(found, k)
	}
	return found, true, nil
}

// describe reads what a schema says of a key: its default, then pairs of a
// letter and what it stands for, of which d is the defaults by desktop.
func (k *schemaKey) describe(v gvariant) error {
	parts, err := v.parts()
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return errVariant
	}
	k.fallback = parts[0]
	for _, p := range parts[1:] {
		pair, err := p.parts()
		if err != nil || len(pair) != 2 || pair[0].typ != "y" {
			return errVariant
		}
		if pair[0].data[0] != 'd' {
			continue
		}
		desktops, err := pair[1].parts()
		if err != nil {
			return err
		}
		for _, d := range desktops {
			entry, err := d.parts()
			if err != nil || len(entry) != 2 {
				return errVariant
			}
			name, err := entry[0].text()
			if err != nil {
				return err
			}
			value, err := entry[1].parts()
			if err != nil {
				return err
			}
			k.desktops = append(k.desktops, desktopDefault{name, value[0]})
		}
	}
	return nil
}

package builtin

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const (
	realDefaults = "hosts/debian/usr/share/glib-2.0/schemas/gschemas.compiled"
	realUser     = "hosts/debian/home/alice/.config/dconf/user"
	realSystem   = "hosts/debian/etc/dconf/db/local"
	oddValues    = "dconf-odd"
)

// testFile is a file of testdata: the databases in it were written by dconf and
// glib-compile-schemas.
func testFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGVariant(t *testing.T) {
	db, err := parseGVDB([]byte(testFile(t, oddValues)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := db.value("/all/numbers")
	if err != nil {
		t.Fatal(err)
	}
	parts, err := v.parts()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range parts {
		text, err := p.text()
		if err != nil {
			t.Error(err)
		}
		got = append(got, text)
	}
	want := []string{"7", "-2", "65535", "-3", "-4", "18446744073709551615", "1.5", "text", "/o"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	v, err = db.value("/all/nested")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := flatten(t, v), []string{"a", "1", "x", "2", "yy", "b", "mi", "c", "true"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if v, err := db.value("/all/missing"); v.typ != "" || err != nil {
		t.Errorf("a missing key is %+v, %v", v, err)
	}
}

// flatten writes the texts in a value, and the types of what is none.
func flatten(t *testing.T, v gvariant) (texts []string) {
	parts, err := v.parts()
	if err != nil {
		if text, err := v.text(); err == nil {
			return []string{text}
		}
		return []string{v.typ}
	}
	for _, p := range parts {
		texts = append(texts, flatten(t, p)...)
	}
	return texts
}

// TestDconfLayers asks for what decides of several databases.
func TestDconfLayers(t *testing.T) {
	const idle, lock, delay = "org.gnome.desktop.session idle-delay", "org.gnome.desktop.screensaver lock-enabled", "org.gnome.desktop.screensaver lock-delay"
	const profile = "etc/dconf/profile/user"
	for name, c := range map[string]struct {
		files map[string]string
		want  map[string]string // value, locked and source of alice's keys
	}{
		"no profile: the system's databases do not count": {
			map[string]string{"etc/dconf/db/local": testFile(t, realSystem), "home/alice/.config/dconf/user": testFile(t, realUser)},
			map[string]string{idle: "0 0 /home/alice/.config/dconf/user", lock: "false 0 /home/alice/.config/dconf/user"},
		},
		"a lock hides the person's value, and no other": {
			map[string]string{profile: "# county\nuser-db:user\nsystem-db:local\nsystem-db:missing\n",
				"etc/dconf/db/local": testFile(t, realSystem), "home/alice/.config/dconf/user": testFile(t, realUser)},
			map[string]string{idle: "600 1 /etc/dconf/db/local", lock: "false 0 /home/alice/.config/dconf/user"},
		},
		"a value of another type does not count": {
			map[string]string{"home/alice/.config/dconf/user": testFile(t, oddValues)},
			map[string]string{idle: "300 0 /usr/share/glib-2.0/schemas/gschemas.compiled", delay: "5 0 /home/alice/.config/dconf/user"},
		},
		"nothing of one's own": {
			map[string]string{profile: "system-db:local\n", "etc/dconf/db/local": testFile(t, realSystem),
				"home/alice/.config/dconf/user": testFile(t, realUser)},
			map[string]string{idle: "600 1 /etc/dconf/db/local", delay: "0 1 /usr/share/glib-2.0/schemas/gschemas.compiled"},
		},
		"a profile that binds one person": {
			map[string]string{"run/dconf/user/1000": "user-db:other\n", "home/alice/.config/dconf/other": testFile(t, oddValues)},
			map[string]string{delay: "5 0 /home/alice/.config/dconf/other"},
		},
		"a file of its own": {
			map[string]string{"usr/share/dconf/profile/user": "user-db:user\nfile-db:/opt/defaults\n", "opt/defaults": testFile(t, realSystem)},
			map[string]string{lock: "true 0 /opt/defaults", idle: "600 1 /opt/defaults"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.files["etc/passwd"] = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nsvc:x:1001:1001::/:/usr/sbin/nologin\n"
			c.files["usr/share/glib-2.0/schemas/gschemas.compiled"] = testFile(t, realDefaults)
			rows := mustGather(t, host{tree(t, c.files)}.musterDesktopSettings())
			for key, want := range c.want {
				schema, key, _ := strings.Cut(key, " ")
				r := rowWith(rows, muster.Row{"username": "alice", "schema": schema, "key": key})
				if got := r["value"] + " " + r["locked"] + " " + r["source"]; got != want {
					t.Errorf("%s %s is %q, want %q", schema, key, got, want)
				}
			}
			for _, r := range rows {
				if !slices.Contains([]string{"", "alice", "gdm"}, r["username"]) {
					t.Errorf("%s is nobody who signs in", r["username"])
				}
			}
		})
	}
}

// TestDesktopSettingsUnknown: what cannot be read is not the default.
func TestDesktopSettingsUnknown(t *testing.T) {
	files := map[string]string{"etc/passwd": "alice:x:1000:1000::/home/alice:/bin/sh\n",
		"usr/share/glib-2.0/schemas/gschemas.compiled": testFile(t, realDefaults)}
	with := func(path, text string) host {
		own := map[string]string{path: text}
		for k, v := range files {
			own[k] = v
		}
		return host{tree(t, own)}
	}
	if rows, err := gather(t, with("home/alice/.config/dconf/user", "garbage").musterDesktopSettings()); err == nil {
		t.Errorf("a broken database: %d rows", len(rows))
	}
	h := with("etc/dconf/profile/user", "service-db:keyfile/user\n")
	if _, err := gather(t, h.musterDesktopSettings()); !errors.Is(err, facts.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	h = with("home/alice/.config/dconf/x", "")
	if err := unix.Mkfifo(h.path("/home/alice/.config/dconf/user"), 0o600); err != nil {
		t.Fatal(err)
	}
	if rows, err := gather(t, h.musterDesktopSettings()); err == nil {
		t.Errorf("a pipe: %d rows", len(rows))
	}
	h = host{tree(t, map[string]string{"etc/passwd": files["etc/passwd"]})}
	if rows := mustGather(t, h.musterDesktopSettings()); len(rows) != 0 {
		t.Errorf("no desktop has %v", rows)
	}
}

// TestHomesDenied: another person's home that may not be read is no empty one.
func TestHomesDenied(t *testing.T) {
	top := tree(t, map[string]string{"etc/passwd": "alice:x:1000:1000::/home/alice:/bin/sh\n", "home/alice/.config/x": "",
		"usr/share/glib-2.0/schemas/gschemas.compiled": testFile(t, realDefaults)})
	closed := filepath.Join(top, "home/alice")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(closed, 0o700)
	if os.Geteuid() == 0 {
		// The folders that lead to it must be open to anybody.
		for p := top; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
			if err := os.Chmod(p, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	h := host{top}
	asNobody(t, func() {
		for _, table := range []facts.Table{h.musterDesktopSettings(), h.chromeExtensions(), h.firefoxAddons()} {
			if rows, err := gather(t, table); !errors.Is(err, facts.ErrDenied) {
				t.Errorf("%s: got %v and %v, want denied", table.Name, rows, err)
			}
		}
		// Nobody asked for hers.
		if rows, err := gather(t, h.chromeExtensions(), equal("uid", "1001")); err != nil || len(rows) != 0 {
			t.Errorf("of another: got %v and %v", rows, err)
		}
	})
}

func TestScreenLocks(t *testing.T) {
	h := host{tree(t, map[string]string{
		"etc/passwd":                            "alice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n",
		"usr/bin/startplasma-wayland":           "",
		"usr/bin/xfce4-screensaver":             "",
		"etc/xdg/kscreenlockerrc":               "[Daemon]\nTimeout[$i]=10\nLockGrace=0\n[Greeter]\nTimeout=99\n",
		"home/alice/.config/kscreenlockerrc":    "[Daemon]\nAutolock=false\nTimeout=60\nLockGrace=30\n",
		"home/bob/.config/kscreenlockerrc":      "[$i]\n[Daemon][$i]\nAutolock=true\n",
		"etc/xdg/" + xfceFile:                   "<channel name='s'><property name='lock' type='empty'><property name='enabled' type='bool' value='true' locked='*;root'/></property></channel>",
		"home/alice/.config/" + xfceFile:        "<channel name='s'><property name='lock' type='empty'><property name='enabled' type='bool' value='false'/><property name='saver-activation' type='empty'><property name='delay' type='int' value='9'/></property></property></channel>",
		"usr/share/glib-2.0/schemas/.keep":      "",
		"home/alice/.config/dconf/.placeholder": "",
	})}
	rows := mustGather(t, h.musterDesktopSettings())
	const kde, xfce, system = "kde.screenlocker", "xfce.screensaver", "/etc/xdg/"
	for _, want := range []muster.Row{
		{"username": "", "schema": kde, "key": "Autolock", "value": "true", "source": "default of Plasma", "locked": "0"},
		{"username": "", "schema": kde, "key": "Timeout", "value": "10", "source": system + "kscreenlockerrc", "locked": "1"},
		{"username": "alice", "schema": kde, "key": "Timeout", "value": "10", "locked": "1"},
		{"username": "alice", "schema": kde, "key": "Autolock", "value": "false", "locked": "0"},
		{"username": "alice", "schema": kde, "key": "LockGrace", "value": "30"},
		{"username": "bob", "schema": kde, "key": "LockGrace", "value": "0", "source": system + "kscreenlockerrc"},
		{"username": "bob", "schema": kde, "key": "Autolock", "value": "true", "locked": "1"},
		{"username": "alice", "schema": xfce, "key": "lock/enabled", "value": "true", "locked": "1", "source": system + xfceFile},
		{"username": "alice", "schema": xfce, "key": "lock/saver-activation/delay", "value": "9", "locked": "0"},
		{"username": "bob", "schema": xfce, "key": "saver/idle-activation/delay", "value": "5", "source": "default of Xfce"},
	} {
		if rowWith(rows, want) == nil {
			t.Errorf("no row %v", want)
		}
	}
	if len(rows) != 3*(4+6) {
		t.Errorf("%d rows", len(rows))
	}
}

// FuzzGVDB: a database finds only names whose parts are in the file, and gives
// texts that are.
func FuzzGVDB(f *testing.F) {
	for _, name := range []string{realDefaults, realUser, realSystem, oddValues} {
		f.Add([]byte(testFile(f, name)), "/org/gnome/desktop/session/idle-delay")
		f.Add([]byte(testFile(f, name)), "org.gnome.desktop.screensaver")
	}
	f.Fuzz(func(t *testing.T, file []byte, name string) {
		db, err := parseGVDB(file)
		if err != nil {
			return
		}
		if db.has(name) && name != "" && !strings.Contains(string(file), name[len(name)-1:]) {
			t.Errorf("%q is not in the file", name)
		}
		if v, err := db.value(name); err == nil && v.typ == "s" {
			if text, err := v.text(); err == nil && !strings.Contains(string(file), text) {
				t.Errorf("%q is not in the file", text)
			}
		}
		keys, _, err := schemaFile{schemas: db}.keys(name, []string{"idle-delay", "lock-enabled"})
		for _, k := range keys {
			if err == nil && (k.fallback.typ == "" || db.find(name, 'H') == nil) {
				t.Errorf("key %+v", k)
			}
		}
	})
}

// FuzzGVariant: the parts of a value lie in it one after the other.
func FuzzGVariant(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00u"))
	f.Add([]byte("a\x00\x02\x00(su)"))
	f.Add([]byte("a\x00\x00\x00\x00\x00\x00\x00\x01\x00b\x02\x0b\x00a{sv}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseBoxed(b)
		if err != nil {
			return
		}
		var check func(v gvariant, depth int)
		check = func(v gvariant, depth int) {
			if _, err := v.text(); err == nil || depth > maxNesting {
				return
			}
			parts, err := v.parts()
			if err != nil {
				return
			}
			size := 0
			for _, p := range parts {
				size += len(p.data)
				check(p, depth+1)
			}
			if size > len(v.data) {
				t.Errorf("parts of %d bytes in %d bytes of %s", size, len(v.data), v.typ)
			}
		}
		check(v, 0)
	})
}

// FuzzScreenLocks: no setting is made of what is not in the file.
func FuzzScreenLocks(f *testing.F) {
	f.Add("[$i]\n[Daemon][$i]\nAutolock[$e]=true\n", "alice")
	f.Add("<channel name='s'><property name='a'><property name='b' value='c' locked='alice;*'/></property></channel>", "alice")
	f.Fuzz(func(t *testing.T, text, person string) {
		for _, s := range parseKConfig(text, "Daemon") {
			if !strings.Contains(text, s.key) || !strings.Contains(text, s.value) {
				t.Errorf("invented %+v", s)
			}
		}
		settings, err := parseXfconf(text, person)
		for _, s := range settings {
			if err == nil && (s.value == "" || strings.Count(text, "<") < strings.Count(s.key, "/")) {
				t.Errorf("invented %+v", s)
			}
		}
	})
}

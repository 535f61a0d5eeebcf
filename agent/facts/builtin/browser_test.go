package builtin

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// chromiumProfile is what Chromium 156 wrote of itself with an unpacked
// extension in it, cut down to its extensions.
const chromiumProfile = "testdata/hosts/debian/home/alice/.config/chromium/Default/"

// tempDir is t.TempDir with files removed one by one: Wine cannot do it otherwise.
func tempDir(t *testing.T) string {
	t.Helper()
	top, err := os.MkdirTemp("", "muster")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var paths []string
		_ = filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			paths = append(paths, path)
			return err
		})
		for _, path := range slices.Backward(paths) {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	})
	return top
}

func writeFiles(t *testing.T, top string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(top, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func chromeRows(t *testing.T, folder string) (rows []muster.Row) {
	t.Helper()
	err := host{}.chromeProfiles(t.Context(), "", folder, func(r muster.Row) error {
		rows = append(rows, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestChromeProfiles reads a folder with two profiles: states of old and new,
// an extension outside the profile, one on another computer, and one left behind.
func TestChromeProfiles(t *testing.T) {
	top := tempDir(t)
	outside := filepath.Join(tempDir(t), "mine")
	const a, b, c, d, e = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "cccccccccccccccccccccccccccccccc",
		"dddddddddddddddddddddddddddddddd", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
	asJSON := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	type object = map[string]any
	writeFiles(t, top, map[string]string{
		"Local State": "{}",
		"Default/Preferences": asJSON(object{"profile": object{"name": "Person 1"}, "extensions": object{"settings": object{
			a:      object{"path": a + "/1.0_0", "state": 1, "from_webstore": true, "install_time": "13300000000000000"},
			b:      object{"path": b + "/2.0_0", "disable_reasons": []int{1}, "from_webstore": true},
			c:      object{"path": outside, "disable_reasons": []int{}, "location": 4},
			d:      object{"path": `\\evil.example\share\x`, "manifest": object{"name": "Far", "version": "9"}},
			e:      object{"path": e + "/gone"},
			"note": object{"ack_external": true},
		}}}),
		"Default/Secure Preferences": asJSON(object{"extensions": object{"settings": object{a: object{"note": "has no path"}}}}),
		"Default/Extensions/" + a + "/1.0_0/manifest.json": `{"name": "__MSG_Name__", "version": "1.0", "default_locale": "de",
			"update_url": "https://clients2.google.com/service/update2/crx", "permissions": ["tabs", {"usb": []}, "<all_urls>"],
			"background": {"persistent": true}, "key": "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDN6hM0rsDYGbzQPQfOygqlRtQgKUXMfnSjhIBL7LnReAVBEd7ZmKtyN2qmSasMl4HZpMhVe2rPWVVwBDl6iyNE/Kok6E6v6V3vCLGsOpQAuuNVye/3QxzIldzG/jQAdWZiyXReRVapOhZtLjGfywCvlWq7Sl/e3sbc0vWybSDI2QIDAQAB"}`,
		"Default/Extensions/" + a + "/1.0_0/_locales/de/messages.json": `{"name": {"message": "Wahlhilfe"}}`,
		"Default/Extensions/" + a + "/0.9_0/manifest.json":             `{"name": "Wahlhilfe", "version": "0.9"}`,
		"Default/Extensions/" + b + "/2.0_0/manifest.json":             "\ufeff" + `{"name": "Off", "version": "2.0"}`,
		"Profile 1/Secure Preferences": asJSON(object{"extensions": object{"opsettings": object{
			b: object{"path": b + "/3_0", "state": 0}}}}),
		"Profile 1/Extensions/" + b + "/3_0/manifest.json": `{"name": "Opera's", "version": "3"}`,
	})
	writeFiles(t, outside, map[string]string{"manifest.json": `// comments are no JSON`})
	rows := chromeRows(t, top)
	// The key is that of Chromium's own PDF viewer, whose id is known.
	const pdf = "mhjfbmdgcfjbbpaeojofohoefgiehjai"
	for i, want := range []muster.Row{
		{"identifier": pdf, "referenced_identifier": a, "name": "Wahlhilfe", "version": "1.0", "state": "1", "from_webstore": "true",
			"permissions": "tabs, <all_urls>", "permissions_json": `["tabs",{"usb":[]},"<all_urls>"]`, "persistent": "1",
			"update_url": "https://clients2.google.com/service/update2/crx", "install_timestamp": "1655526400", "referenced": "1",
			"profile": "Person 1", "profile_path": filepath.Join(top, "Default")},
		{"identifier": b, "state": "0", "name": "Off", "install_timestamp": "0"},
		{"identifier": c, "state": "1", "name": "", "path": outside, "manifest_json": "{}"},
		{"identifier": d, "name": "Far", "version": "9", "path": `\\evil.example\share\x`},
		{"identifier": a, "referenced": "0", "version": "0.9", "state": "", "referenced_identifier": ""},
		{"identifier": b, "state": "0", "name": "Opera's", "profile": ""},
	} {
		for column, value := range want {
			if i >= len(rows) || rows[i][column] != value {
				t.Fatalf("row %d of %v: %s is not %q", i, rows, column, value)
			}
		}
	}
	if len(rows) != 6 {
		t.Errorf("%d rows", len(rows))
	}
	// The folder may be a profile itself.
	if rows := chromeRows(t, filepath.Join(top, "Profile 1")); len(rows) != 1 {
		t.Errorf("a profile alone has %v", rows)
	}
	if rows := chromeRows(t, filepath.Join(top, "missing")); len(rows) != 0 {
		t.Errorf("nothing has %v", rows)
	}
}

// TestFarPathsAreNotOpened: to look would be to sign in there.
func TestFarPathsAreNotOpened(t *testing.T) {
	for path, far := range map[string]bool{`\\host\share`: true, `//host/share`: true, `/\host\share`: true, `\\?\UNC\host\share`: true,
		`\\.\pipe\x`: true, `/usr/share`: false, `C:\Users`: false, `abc/1_0`: false, "": false} {
		if isElsewhere(path) != far {
			t.Errorf("%q is far: %v", path, !far)
		}
	}
}

func TestBrokenProfileIsAnError(t *testing.T) {
	top := tempDir(t)
	writeFiles(t, top, map[string]string{"Default/Preferences": `{"extensions": `})
	err := host{}.chromeProfiles(t.Context(), "", top, func(muster.Row) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "Preferences") {
		t.Errorf("got %v", err)
	}
}

func TestBrowserFolders(t *testing.T) {
	for _, system := range []string{"linux", "windows"} {
		seen := map[string]bool{}
		for _, f := range chromeFolders(system) {
			if seen[f.path] || strings.Contains(f.path, `\`) || filepath.IsAbs(f.path) {
				t.Errorf("%s: bad folder %q", system, f.path)
			}
			seen[f.path] = true
		}
		for _, browser := range []string{"chrome", "chromium", "edge", "brave", "opera"} {
			if !slices.ContainsFunc(chromeFolders(system), func(f chromeFolder) bool { return f.browser == browser }) {
				t.Errorf("%s: no %s", system, browser)
			}
		}
		if len(firefoxFolders(system)) == 0 {
			t.Errorf("%s: no firefox", system)
		}
	}
}

// FuzzChromeExtensions: whatever a profile and a manifest hold, an id has its
// form, a state is told, and no text is invented.
func FuzzChromeExtensions(f *testing.F) {
	for _, name := range []string{"Preferences", "Secure Preferences"} {
		b, err := os.ReadFile(chromiumProfile + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b), `{"name": "__MSG_a__", "key": "AAAA", "permissions": ["x", 1, {}], "background": {"persistent": true}}`, `{"A": {"message": "b"}}`)
	}
	id := regexp.MustCompile("^([a-p]{32})?$")
	f.Fuzz(func(t *testing.T, preferences, manifest, messages string) {
		if p, err := parseChromePreferences(preferences); err == nil {
			for _, s := range withPath(p.all()) {
				r := muster.Row{}
				s.describe(r)
				if r["state"] == "" || jsonText(s.Path) == "" {
					t.Errorf("bad settings %v", r)
				}
			}
		}
		r, err := parseChromeManifest(manifest, func(string) (string, error) { return messages, nil })
		if err != nil {
			t.Fatal(err)
		}
		if !id.MatchString(r["identifier"]) || len(r["manifest_hash"]) != 64 {
			t.Errorf("bad row %v", r)
		}
		for _, column := range []string{"permissions_json", "optional_permissions_json", "manifest_json"} {
			if !json.Valid([]byte(r[column])) {
				t.Errorf("%s is %q", column, r[column])
			}
		}
	})
}

// FuzzFirefoxAddons: truths are 0 or 1, and no row comes of nothing.
func FuzzFirefoxAddons(f *testing.F) {
	b, err := os.ReadFile("testdata/hosts/debian/home/alice/.mozilla/firefox/abcd.default-esr/extensions.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := parseFirefoxAddons(text)
		if err != nil {
			return
		}
		if len(rows) > strings.Count(text, "{")+strings.Count(text, "null") {
			t.Errorf("%d rows of %q", len(rows), text)
		}
		for _, r := range rows {
			if r["disabled"] != "0" && r["disabled"] != "1" || r["active"] == "true" || r["visible"] == "false" {
				t.Errorf("bad row %v", r)
			}
		}
	})
}

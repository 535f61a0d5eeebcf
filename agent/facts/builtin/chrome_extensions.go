package builtin

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// chromeExtensions are the extensions in every profile of Chrome and its kin.
// Unlike osquery it knows Edge and Opera GX, flatpak and current folders on all
// systems, tells state also since Chrome 136, gives an extension without a key
// the identifier of its profile, and a home that may not be read is
// facts.ErrDenied. Others' homes need root or administrator. It does not see a
// profile in a folder that somebody chose for it (--user-data-dir), nor a
// browser that is carried along.
func (h host) chromeExtensions() facts.Table {
	return facts.Table{
		Name: "chrome_extensions", Platforms: onBoth, Source: "browser profiles", Preferred: true,
		Columns: columns(`browser_type text, uid bigint, name text, profile text, profile_path text, referenced_identifier text,
			identifier text, version text, description text, default_locale text, current_locale text, update_url text,
			author text, persistent integer, path text, permissions text, permissions_json text hidden,
			optional_permissions text, optional_permissions_json text hidden, manifest_hash text, referenced bigint,
			from_webstore text, state text, install_time text, install_timestamp bigint, manifest_json text hidden,
			key text hidden`),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			homes, err := h.homesOf(q)
			if err != nil {
				return err
			}
			folders := chromeFolders(runtime.GOOS)
			for _, o := range homes {
				for _, f := range folders {
					err := h.chromeProfiles(ctx, o.uid, filepath.Join(o.path, filepath.FromSlash(f.path)), func(r muster.Row) error {
						r["uid"], r["browser_type"] = o.uid, f.browser
						return emit(r)
					})
					if err != nil {
						return err
					}
				}
			}
			return ctx.Err()
		},
	}
}

// chromeFolder is where a browser keeps its profiles, below a person's home.
type chromeFolder struct{ browser, path string }

func chromeFolders(system string) []chromeFolder {
	if system == "windows" {
		const local, roaming = "AppData/Local/", "AppData/Roaming/"
		return []chromeFolder{
			{"chrome", local + "Google/Chrome/User Data"},
			{"chrome_beta", local + "Google/Chrome Beta/User Data"},
			{"chrome_dev", local + "Google/Chrome Dev/User Data"},
			{"chrome_canary", local + "Google/Chrome SxS/User Data"},
			{"edge", local + "Microsoft/Edge/User Data"},
			{"edge_beta", local + "Microsoft/Edge Beta/User Data"},
			{"edge", local + "Microsoft/Edge Dev/User Data"},
			{"edge", local + "Microsoft/Edge SxS/User Data"},
			{"brave", local + "BraveSoftware/Brave-Browser/User Data"},
			{"brave", roaming + "brave"},
			{"chromium", local + "Chromium"},
			{"chromium", local + "Chromium/User Data"},
			{"opera", roaming + "Opera Software/Opera Stable"},
			{"opera", roaming + "Opera Software/Opera GX Stable"},
			{"vivaldi", local + "Vivaldi/User Data"},
			{"yandex", local + "Yandex/YandexBrowser/User Data"},
			{"island", local + "Island/Island/User Data"},
		}
	}
	var folders []chromeFolder
	for _, b := range []struct{ browser, path, flatpak, snap string }{
		{"chrome", "google-chrome", "com.google.Chrome", ""},
		{"chrome_beta", "google-chrome-beta", "", ""},
		{"chrome_dev", "google-chrome-unstable", "com.google.ChromeDev", ""},
		{"chromium", "chromium", "org.chromium.Chromium", "chromium/common/chromium"},
		{"edge", "microsoft-edge", "com.microsoft.Edge", ""},
		{"edge_beta", "microsoft-edge-beta", "", ""},
		{"edge", "microsoft-edge-dev", "", ""},
		{"brave", "BraveSoftware/Brave-Browser", "com.brave.Browser", "brave/current/.config/BraveSoftware/Brave-Browser"},
		{"opera", "opera", "com.opera.Opera", "opera/current/.config/opera"},
		{"vivaldi", "vivaldi", "com.vivaldi.Vivaldi", "vivaldi/current/.config/vivaldi"},
		{"yandex", "yandex-browser", "", ""},
		{"yandex", "yandex-browser-beta", "", ""},
		{"island", "island", "", ""},
	} {
		folders = append(folders, chromeFolder{b.browser, ".config/" + b.path})
		if b.flatpak != "" {
			folders = append(folders, chromeFolder{b.browser, ".var/app/" + b.flatpak + "/config/" + b.path})
		}
		if b.snap != "" {
			folders = append(folders, chromeFolder{b.browser, "snap/" + b.snap})
		}
	}
	return folders
}

// chromeProfiles emits the extensions of the profiles in a browser's folder,
// which may be a profile itself.
func (h host) chromeProfiles(ctx context.Context, owner, folder string, emit emitFunc) error {
	below, err := h.homeFolders(folder)
	if err != nil {
		return err
	}
	for _, profile := range append([]string{folder}, below...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var read []chromePreferences
		for _, file := range []string{"Preferences", "Secure Preferences"} {
			text, err := h.homeText(owner, filepath.Join(profile, file))
			if err != nil {
				return err
			}
			p, err := parseChromePreferences(text)
			if err != nil {
				return fmt.Errorf("read %s: %w", filepath.Join(profile, file), err)
			}
			if text != "" {
				read = append(read, p)
			}
		}
		if len(read) == 0 {
			continue
		}
		rows, err := h.chromeProfile(owner, profile, read)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := emit(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// chromeProfile are the extensions that a profile names, and then those that
// only lie in its folder.
func (h host) chromeProfile(owner, profile string, read []chromePreferences) ([]muster.Row, error) {
	name := ""
	settings := map[string]chromeSettings{}
	for _, p := range slices.Backward(read) {
		maps.Copy(settings, withPath(p.all()))
		if n := jsonText(p.Profile.Name); n != "" {
			name = n
		}
	}
	var rows []muster.Row
	add := func(path, id string, s *chromeSettings) error {
		row, err := h.chromeExtension(owner, path, s)
		if row == nil || err != nil {
			return err
		}
		row["profile"], row["profile_path"], row["path"], row["referenced"] = name, profile, path, flag(s != nil)
		if s != nil {
			row["referenced_identifier"] = id
		}
		if row["identifier"] == "" {
			row["identifier"] = id
		}
		rows = append(rows, row)
		return nil
	}
	inFolder := filepath.Join(profile, "Extensions")
	named := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(settings)) {
		s := settings[id]
		path := jsonText(s.Path)
		if !isElsewhere(path) {
			if !isAbsolute(path) {
				path = filepath.Join(inFolder, path)
			}
			path = filepath.Clean(path)
		}
		named[path] = true
		if err := add(path, id, &s); err != nil {
			return nil, err
		}
	}
	ids, err := h.homeFolders(inFolder)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		versions, err := h.homeFolders(id)
		if err != nil {
			return nil, err
		}
		for _, path := range versions {
			if named[path] {
				continue
			}
			if err := add(path, filepath.Base(id), nil); err != nil {
				return nil, err
			}
		}
	}
	return rows, nil
}

// withPath leaves out what is no extension but a note about one that was.
func withPath(all map[string]chromeSettings) map[string]chromeSettings {
	all = maps.Clone(all)
	maps.DeleteFunc(all, func(_ string, s chromeSettings) bool { return jsonText(s.Path) == "" })
	return all
}

// isAbsolute also knows a path with a drive, on every system.
func isAbsolute(path string) bool {
	return filepath.IsAbs(path) || strings.HasPrefix(path, "/") || len(path) > 2 && path[1] == ':'
}

// chromeExtension describes one extension, or nothing where its folder has no
// manifest: the browser does not load that either, and its own parts have none.
// s is nil where the profile does not name it.
func (h host) chromeExtension(owner, path string, s *chromeSettings) (muster.Row, error) {
	text := ""
	var err error
	if isElsewhere(path) {
		text = string(s.Manifest)
		if text == "" {
			text = "{}"
		}
	} else if text, err = h.homeText(owner, filepath.Join(path, "manifest.json")); text == "" || err != nil {
		return nil, err
	}
	row, err := parseChromeManifest(strings.TrimPrefix(text, "\ufeff"), func(locale string) (string, error) {
		if isElsewhere(path) || locale != filepath.Base(locale) {
			return "", nil
		}
		return h.homeText(owner, filepath.Join(path, "_locales", locale, "messages.json"))
	})
	if s != nil && err == nil {
		s.describe(row)
	}
	return row, err
}

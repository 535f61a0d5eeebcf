package builtin

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// firefoxAddons are the add-ons in every profile of Firefox, also of those that
// it brings along. Unlike osquery it knows snap, flatpak and store packages, and
// a home that may not be read is facts.ErrDenied. Others' homes need root or
// administrator. It does not see a profile in a folder that somebody chose for
// it, nor a Firefox that is carried along.
func (h host) firefoxAddons() facts.Table {
	return facts.Table{
		Name: "firefox_addons", Platforms: onBoth, Source: "browser profiles", Preferred: true,
		Columns: columns(`uid bigint, name text, identifier text, creator text, type text, version text, description text,
			source_url text, visible integer, active integer, disabled integer, autoupdate integer, location text, path text`),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			homes, err := h.homesOf(q)
			if err != nil {
				return err
			}
			for _, o := range homes {
				for _, folder := range firefoxFolders(runtime.GOOS) {
					profiles, err := h.homeFolders(filepath.Join(o.path, filepath.FromSlash(folder)))
					if err != nil {
						return err
					}
					for _, p := range profiles {
						if err := ctx.Err(); err != nil {
							return err
						}
						file := filepath.Join(p, "extensions.json")
						text, err := h.homeText(o.uid, file)
						if err != nil {
							return err
						}
						rows, err := parseFirefoxAddons(text)
						if err != nil {
							return fmt.Errorf("read %s: %w", file, err)
						}
						for _, r := range rows {
							r["uid"] = o.uid
							if err := emit(r); err != nil {
								return err
							}
						}
					}
				}
			}
			return ctx.Err()
		},
	}
}

// firefoxFolders hold profiles, below a person's home.
func firefoxFolders(system string) []string {
	if system == "windows" {
		return []string{"AppData/Roaming/Mozilla/Firefox/Profiles",
			"AppData/Local/Packages/Mozilla.Firefox_n80bbvh6b1yt2/LocalCache/Roaming/Mozilla/Firefox/Profiles"}
	}
	return []string{".mozilla/firefox", ".config/mozilla/firefox", "snap/firefox/common/.mozilla/firefox",
		".var/app/org.mozilla.firefox/.mozilla/firefox", ".var/app/org.mozilla.firefox/config/mozilla/firefox"}
}

// parseFirefoxAddons reads a profile's extensions.json.
func parseFirefoxAddons(text string) ([]muster.Row, error) {
	if text == "" {
		return nil, nil
	}
	var file struct {
		Addons []struct {
			ID            json.RawMessage `json:"id"`
			Type          json.RawMessage `json:"type"`
			Version       json.RawMessage `json:"version"`
			SourceURI     json.RawMessage `json:"sourceURI"`
			Visible       json.RawMessage `json:"visible"`
			Active        json.RawMessage `json:"active"`
			AutoUpdate    json.RawMessage `json:"applyBackgroundUpdates"`
			Location      json.RawMessage `json:"location"`
			Path          json.RawMessage `json:"path"`
			SoftDisable   json.RawMessage `json:"softDisable"`
			SoftDisabled  json.RawMessage `json:"softDisabled"`
			AppDisabled   json.RawMessage `json:"appDisabled"`
			UserDisabled  json.RawMessage `json:"userDisabled"`
			DefaultLocale struct {
				Name        json.RawMessage `json:"name"`
				Creator     json.RawMessage `json:"creator"`
				Description json.RawMessage `json:"description"`
			} `json:"defaultLocale"`
		} `json:"addons"`
	}
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		return nil, err
	}
	// As in osquery a truth is 1 or 0, whatever its column.
	bare := func(raw json.RawMessage) string {
		switch s := jsonText(raw); s {
		case "true", "false":
			return flag(s == "true")
		default:
			return s
		}
	}
	var rows []muster.Row
	for _, a := range file.Addons {
		disabled := false
		for _, reason := range []json.RawMessage{a.SoftDisable, a.SoftDisabled, a.AppDisabled, a.UserDisabled} {
			disabled = disabled || jsonText(reason) == "true"
		}
		rows = append(rows, muster.Row{
			"name": bare(a.DefaultLocale.Name), "creator": bare(a.DefaultLocale.Creator),
			"description": bare(a.DefaultLocale.Description), "identifier": bare(a.ID), "type": bare(a.Type),
			"version": bare(a.Version), "source_url": bare(a.SourceURI), "visible": bare(a.Visible), "active": bare(a.Active),
			"disabled": flag(disabled), "autoupdate": bare(a.AutoUpdate), "location": bare(a.Location), "path": bare(a.Path),
		})
	}
	return rows, nil
}

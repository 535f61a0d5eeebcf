package builtin

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
)

// chromePreferences is what the files Preferences and Secure Preferences of a
// profile say of its extensions. Opera writes opsettings.
type chromePreferences struct {
	Profile struct {
		Name json.RawMessage `json:"name"`
	} `json:"profile"`
	Extensions struct {
		Settings   map[string]chromeSettings `json:"settings"`
		OpSettings map[string]chromeSettings `json:"opsettings"`
	} `json:"extensions"`
}

// chromeSettings is what a profile keeps of one extension. A value of a kind
// that is not expected is left out, not an error.
type chromeSettings struct {
	Path           json.RawMessage `json:"path"`
	State          json.RawMessage `json:"state"`
	DisableReasons json.RawMessage `json:"disable_reasons"`
	FromWebstore   json.RawMessage `json:"from_webstore"`
	InstallTime    json.RawMessage `json:"install_time"`
	FirstInstall   json.RawMessage `json:"first_install_time"`
	Manifest       json.RawMessage `json:"manifest"`
}

func parseChromePreferences(text string) (p chromePreferences, err error) {
	if text == "" {
		return p, nil
	}
	err = json.Unmarshal([]byte(text), &p)
	return p, err
}

// all are the settings by extension.
func (p chromePreferences) all() map[string]chromeSettings {
	if len(p.Extensions.Settings) > 0 {
		return p.Extensions.Settings
	}
	return p.Extensions.OpSettings
}

// describe adds what the profile says to a row. Chrome 136 gave up state for a
// list of reasons why an extension is off, or their sum.
func (s chromeSettings) describe(row muster.Row) {
	row["state"] = jsonText(s.State)
	if row["state"] == "" {
		switch string(bytes.TrimSpace(s.DisableReasons)) {
		case "", "[]", "{}", "0", "null":
			row["state"] = "1"
		default:
			row["state"] = "0"
		}
	}
	row["from_webstore"] = jsonText(s.FromWebstore)
	row["install_time"] = jsonText(s.InstallTime)
	if row["install_time"] == "" {
		row["install_time"] = jsonText(s.FirstInstall)
	}
	row["install_timestamp"] = "0"
	if n, err := strconv.ParseInt(row["install_time"], 10, 64); err == nil && n/1_000_000 > secondsTo1970 {
		row["install_timestamp"] = strconv.FormatInt(n/1_000_000-secondsTo1970, 10)
	}
}

// chromeManifest is an extension's manifest.json, of which any part may be
// missing.
type chromeManifest struct {
	Name          json.RawMessage `json:"name"`
	Version       json.RawMessage `json:"version"`
	Description   json.RawMessage `json:"description"`
	Author        json.RawMessage `json:"author"`
	UpdateURL     json.RawMessage `json:"update_url"`
	DefaultLocale json.RawMessage `json:"default_locale"`
	CurrentLocale json.RawMessage `json:"current_locale"`
	Background    json.RawMessage `json:"background"`
	Permissions   json.RawMessage `json:"permissions"`
	Optional      json.RawMessage `json:"optional_permissions"`
	Key           json.RawMessage `json:"key"`
}

// parseChromeManifest makes a row of a manifest. Texts of the form __MSG_name__
// stand in the file that messages reads for the extension's language. Of one
// that is no JSON, as browsers let it have comments, there is only the hash.
func parseChromeManifest(text string, messages func(locale string) (string, error)) (muster.Row, error) {
	var m chromeManifest
	_ = json.Unmarshal([]byte(text), &m)
	var background struct {
		Persistent json.RawMessage `json:"persistent"`
	}
	_ = json.Unmarshal(m.Background, &background)
	sum := sha256.Sum256([]byte(text))
	row := muster.Row{
		"name": jsonText(m.Name), "version": jsonText(m.Version), "description": jsonText(m.Description),
		"author": jsonText(m.Author), "update_url": jsonText(m.UpdateURL), "default_locale": jsonText(m.DefaultLocale),
		"current_locale": jsonText(m.CurrentLocale), "persistent": flag(jsonText(background.Persistent) == "true"),
		"permissions": jsonTexts(m.Permissions), "permissions_json": compactJSON(m.Permissions),
		"optional_permissions": jsonTexts(m.Optional), "optional_permissions_json": compactJSON(m.Optional),
		"key": jsonText(m.Key), "manifest_json": compactJSON([]byte(text)), "manifest_hash": hex.EncodeToString(sum[:]),
	}
	row["identifier"] = chromeIdentifier(row["key"])
	locale := "en"
	for _, l := range []string{row["default_locale"], row["current_locale"]} {
		if l != "" {
			locale = l
			break
		}
	}
	var translated map[string]string
	for _, column := range []string{"name", "description", "author"} {
		name, ok := strings.CutPrefix(row[column], "__MSG_")
		if !ok {
			continue
		}
		if translated == nil {
			text, err := messages(locale)
			if err != nil {
				return nil, err
			}
			translated = parseChromeMessages(text)
		}
		if s, ok := translated[strings.ToLower(strings.TrimSuffix(name, "__"))]; ok {
			row[column] = s
		}
	}
	return row, nil
}

// parseChromeMessages maps names, lower-case, to texts; a file that is none has
// no texts, as for the browser.
func parseChromeMessages(text string) map[string]string {
	var m map[string]struct {
		Message json.RawMessage `json:"message"`
	}
	_ = json.Unmarshal([]byte(text), &m)
	texts := map[string]string{}
	for name, s := range m {
		texts[strings.ToLower(name)] = jsonText(s.Message)
	}
	return texts
}

// chromeIdentifier is the id that an extension has by its public key: half of
// the key's SHA-256 in the letters a to p. "" where there is no valid key.
func chromeIdentifier(key string) string {
	der, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(der) == 0 {
		return ""
	}
	sum := sha256.Sum256(der)
	id := make([]byte, 0, sha256.Size)
	for _, b := range sum[:sha256.Size/2] {
		id = append(id, 'a'+b>>4, 'a'+b&15)
	}
	return string(id)
}

// jsonText writes a text, a number or a truth bare; all else is "".
func jsonText(raw json.RawMessage) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return ""
	}
	switch v := v.(type) {
	case string, bool, json.Number:
		return fmt.Sprint(v)
	}
	return ""
}

// jsonTexts joins the texts of a list.
func jsonTexts(raw json.RawMessage) string {
	var items []json.RawMessage
	_ = json.Unmarshal(raw, &items)
	var texts []string
	for _, item := range items {
		if s := jsonText(item); s != "" {
			texts = append(texts, s)
		}
	}
	return strings.Join(texts, ", ")
}

// compactJSON takes out needless space; as in osquery what is missing is {}.
func compactJSON(raw json.RawMessage) string {
	var b bytes.Buffer
	if len(raw) == 0 || json.Compact(&b, raw) != nil {
		return "{}"
	}
	return b.String()
}

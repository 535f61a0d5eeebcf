package media_test

import (
	"encoding/json"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster/agent/media"
)

func TestManifestRefused(t *testing.T) {
	for what, files := range map[string]string{
		"it lists no files":           ``,
		"no path within the folder":   `{"path":"../bin/muster"}`,
		"path within the folder":      `{"path":"/etc/passwd"}`,
		`refuses the character ':'`:   `{"path":"C:/x"}`,
		`refuses the character '\\'`:  `{"path":"..\\x"}`,
		"the dot or space at the end": `{"path":"bin/muster."}`,
		"of a device":                 `{"path":"bin/NUL.exe"}`,
		"are one file on a stick":     `{"path":"bin/muster"},{"path":"BIN/Muster"}`,
		"cannot be listed":            `{"path":"Hosts/0123456789abcdef/key/host.pem"}`,
		"its size is -1":              `{"path":"a","size_bytes":-1}`,
		"unknown field":               `{"path":"a","sha1":"x"}`,
	} {
		files = strings.ReplaceAll(files, `"}`, `","sha256":"`+strings.Repeat("0", 64)+`"}`)
		_, err := media.ParseManifest([]byte(`{"muster_media":1,"files":[` + files + `]}`))
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v, want %q", files, err, what)
		}
	}
	if _, err := media.ParseManifest([]byte(`{"muster_media":2,"new":1}`)); err == nil || !strings.Contains(err.Error(), "update this program") {
		t.Errorf("a newer form: %v", err)
	}
}

// What passes stays the same when it is written again, and names nothing outside
// of the folder and no file twice.
func FuzzManifest(f *testing.F) {
	good, err := json.Marshal(media.Manifest{Schema: 1, Files: []media.File{{Path: "bin/muster.exe", Size: 3}, {Path: "site.json"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"muster_media":1,"files":[{"path":"a\u0000","sha256":"00"}]}`))
	f.Add([]byte(`{"muster_media":1,"files":[{"path":"bin/..","size_bytes":9223372036854775807}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := media.ParseManifest(b)
		if err != nil {
			return
		}
		names := map[string]bool{}
		for _, file := range m.Files {
			if path.Join("/x", file.Path) != "/x/"+file.Path || strings.ContainsAny(file.Path, "\\:") || file.Size < 0 {
				t.Errorf("%+v passed", file)
			}
			names[strings.ToUpper(file.Path)] = true
		}
		if len(names) != len(m.Files) {
			t.Errorf("a file is listed twice: %+v", m.Files)
		}
		again, err := m.Encode()
		if err != nil {
			return // only where it has grown beyond the bound
		}
		second, err := media.ParseManifest(again)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m, second); diff != "" {
			t.Error(diff)
		}
	})
}

// Only the very bytes that a trusted key signed pass.
func FuzzVerifyManifest(f *testing.F) {
	key, der := mustKey(f)
	text, err := (&media.Manifest{Schema: 1, Files: []media.File{{Path: "bin/muster.exe", Size: 3}}}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	signature, err := media.SignManifest(text, key)
	if err != nil {
		f.Fatal(err)
	}
	if _, _, err := media.VerifyManifest(text, signature, [][]byte{der}); err != nil {
		f.Fatal(err)
	}
	f.Add(text, signature)
	f.Fuzz(func(t *testing.T, manifest, sig []byte) {
		if _, _, err := media.VerifyManifest(manifest, sig, [][]byte{der}); err == nil && string(manifest) != string(text) {
			t.Errorf("nobody signed %q", manifest)
		}
	})
}

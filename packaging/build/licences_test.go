package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/licenseclassifier/v2/assets"
)

// What the programs link can be handed on, and the notices say how, the same each time.
func TestNotices(t *testing.T) {
	r := &release{root: "../..", version: "1.0.0"}
	for _, c := range []struct {
		goos     string
		programs []string
		want     []string
	}{
		{"linux", []string{"muster", "muster-uplink"}, []string{"std 1.", "tailscale.com v", "SQLite Is Public Domain", "Michael Bostock", "osquery authors", "godbus"}},
		{"windows", []string{"muster", "muster-uplink"}, []string{"golang.zx2c4.com/wintun", "go-ole"}},
		{"linux", []string{"muster-collector"}, []string{"github.com/jackc/pgx/v5", "veraison/go-cose v1.3.0: MPL-2.0", "Michael Bostock"}},
	} {
		got, err := r.notices(t.Context(), c.goos, c.programs...)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(string(got), want) {
				t.Errorf("%s %v: the notices lack %q", c.goos, c.programs, want)
			}
		}
		if c.goos == "windows" && (strings.Contains(string(got), "godbus") || bytes.ContainsRune(got, '\r')) {
			t.Error("the notices for Windows are those of Linux, or have two kinds of lines")
		}
		if c.goos != "windows" {
			continue // once is enough
		}
		if again, err := r.notices(t.Context(), c.goos, c.programs...); err != nil || !bytes.Equal(got, again) {
			t.Errorf("not the same a second time: %v", err)
		}
	}
}

// A module whose terms nobody has agreed to is named, and so is one without.
func TestTerms(t *testing.T) {
	own, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	asset := func(name string) string {
		t.Helper()
		text, err := assets.ReadLicenseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string // SPDX names, or of the error
	}{
		"known":                {map[string]string{"LICENSE": string(own), "README.md": "MIT"}, "Apache-2.0"},
		"in a folder":          {map[string]string{"LICENSE": string(own), "below/COPYING": isc}, "Apache-2.0 ISC"},
		"with a notice":        {map[string]string{"License.txt": isc, "NOTICE": "made by X"}, "ISC"},
		"code about licences":  {map[string]string{"LICENSE": isc, "license_test.go": "package x"}, "ISC"},
		"none":                 {map[string]string{"README": isc}, "module example.test/x has no licence"},
		"unknown":              {map[string]string{"LICENSE": "All rights reserved."}, "module example.test/x: the licence in"},
		"known, with a clause": {map[string]string{"LICENSE": isc + "\n" + asset("License/Commons-Clause/license.txt")}, "none that programs may have"},
		"known, with another":  {map[string]string{"LICENSE": isc + "\n" + asset("License/CDDL-1.0/license.txt")}, "none that programs may have"},
		"known, with a notice": {map[string]string{"LICENSE": isc + "\n" + asset("Header/AGPL-3.0/header.txt")}, "none that programs may have"},
		"almost MIT":           {map[string]string{"LICENSE": asset("License/JSON/license.txt")}, "none that programs may have"},
		"almost BSD":           {map[string]string{"LICENSE": asset("License/BSD-4-Clause/license.txt")}, "none that programs may have"},
		"one known of the two": {map[string]string{"LICENSE": isc, "below/LICENCE": "Ask us."}, "none that programs may have"},
	} {
		dir := t.TempDir()
		below := filepath.Join(dir, "below")
		if err := os.Mkdir(below, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := readTerms("example.test/x", "v1.0.0", dir, []string{below})
		switch {
		case err != nil:
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		case strings.Join(got.ids, " ") != c.want || slices.ContainsFunc(got.files, func(f string) bool { return strings.HasSuffix(f, ".go") || strings.Contains(f, "README") }):
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

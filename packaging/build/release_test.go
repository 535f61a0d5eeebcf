package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What go env -w wrote says where modules come from, and nothing else.
func TestSettingsOfGo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("GOPROXY=https://proxy.example.test\nGOFLAGS=-tags=evil\nGOEXPERIMENT=jsonv2\nGOFIPS140=latest\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOENV", file)
	for _, name := range []string{"GOPROXY", "GOFLAGS", "GOEXPERIMENT", "GOFIPS140"} {
		t.Setenv(name, "")
	}
	got, err := (&release{}).golang(t.Context(), "linux", "env", "GOPROXY", "GOFLAGS", "GOEXPERIMENT", "GOFIPS140")
	if err != nil || got != "https://proxy.example.test\n\n\noff" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{"v1.2.3-0-gabcdef0", "1.2.3"},
		{"v1.2.3-5-gabcdef0", "1.2.4-dev.5+gabcdef0"},
		{"v1.2.3-rc.1-0-gabcdef0", "1.2.3-rc.1"},
		{"v1.2.3-rc.1-5-gabcdef0", "1.2.3-rc.1.dev.5+gabcdef0"},
		{"abcdef0", "0.0.1-dev.41+gabcdef0"},
	} {
		got, err := parseDescribed(c.said, "41")
		if err != nil || got != c.want || !semver.MatchString(got) {
			t.Errorf("%s: %q, %v, want %q", c.said, got, err, c.want)
		}
	}
	if got := (&release{version: "1.2.4-dev.5+gabcdef0"}).number(); got != "1.2.4" {
		t.Error(got)
	}
	for _, bad := range []string{"", "1.2", "v1.2.3", "1.2.3 ", "01.2.3", "1.2.3-RC1"} {
		if semver.MatchString(bad) {
			t.Errorf("%q is taken for a version", bad)
		}
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A release is made of a commit with a tag and nothing beside it, into an empty
// folder, with every key.
func TestReady(t *testing.T) {
	root := t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+who+"_NAME", "Someone")
		t.Setenv("GIT_"+who+"_EMAIL", "someone@example.test")
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(".gitignore", "dist\n")
	write("CHANGELOG.md", "# Changelog\n\n## 1.2.3\n\n- Old.\n")
	command(t, root, "git", "init", "-q")
	command(t, root, "git", "add", ".")
	command(t, root, "git", "commit", "-q", "-m", "first")
	out := filepath.Join(root, "dist")
	ready := func() string {
		t.Helper()
		r, err := newRelease(t.Context(), root, out, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := r.ready(t.Context()); err != nil {
			return err.Error()
		}
		return "ready " + r.version
	}
	wants := func(got string, parts ...string) {
		t.Helper()
		for _, p := range parts {
			if !strings.Contains(got, p) {
				t.Errorf("%q lacks %q", got, p)
			}
		}
	}
	t.Setenv("UNSIGNED", "")
	key := filepath.Join(t.TempDir(), "key")
	for _, k := range keys {
		t.Setenv(k.variable, "")
	}
	t.Setenv("GIT_CONFIG_COUNT", "1") // a setting that hides files
	t.Setenv("GIT_CONFIG_KEY_0", "status.showUntrackedFiles")
	t.Setenv("GIT_CONFIG_VALUE_0", "no")
	write("new", "x")
	if err := os.MkdirAll(filepath.Join(out, "media"), 0o755); err != nil {
		t.Fatal(err)
	}
	wants(ready(), "in no commit", "?? new", "no tag", "CHANGELOG.md does not begin with a section of 0.0.1-dev", "MUSTER_SIGN_KEY names no file", releaseKey, "make clean")
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "new")); err != nil {
		t.Fatal(err)
	}
	command(t, root, "git", "tag", "v1.2.3")
	for _, k := range keys {
		t.Setenv(k.variable, key)
	}
	wants(ready(), "no such file")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wants(ready(), "ready 1.2.3")
	t.Setenv(releaseKey, "")
	wants(ready(), releaseKey+" names no file: "+sumsName)
	t.Setenv("UNSIGNED", "1")
	wants(ready(), "ready 1.2.3")
	r, err := newRelease(t.Context(), root, out, "")
	if err != nil {
		t.Fatal(err)
	}
	wants(r.remaining(), "Muster 1.2.3 is in "+out, "UNSIGNED", "govulncheck", "Windows 11")
	// One commit further it is something else.
	write("new", "x")
	command(t, root, "git", "add", ".")
	command(t, root, "git", "commit", "-q", "-m", "second")
	wants(ready(), "no tag")
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-release", "linux"}, "leave names"},
		{[]string{"-release", "-version", "1.2.3"}, "leave names"},
		{[]string{"solaris"}, `"solaris" is not known`},
		{[]string{"-root", "../..", "-o", t.TempDir(), "-version", "v1", "linux"}, "not of the form"},
		{[]string{"-root", "../..", "-o", t.TempDir(), "-version", "1.0.0", "media"}, "make media KEY=policy-key.pem SITE=site.json"},
	} {
		if err := run(t.Context(), c.args); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}

package media_test

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/internal/wire"
)

func mustKey(t testing.TB) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := wire.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

var contents = []media.Content{
	{Path: "bin/muster", Data: []byte("\x7fELF for Linux"), Perm: 0o755},
	{Path: "bin/muster.exe", Data: []byte("MZ for Windows"), Perm: 0o755},
	{Path: "policy/policy.tar.gz", Data: []byte("a bundle"), Perm: 0o644},
	{Path: "site.json", Data: []byte("{}"), Perm: 0o644},
}

// mustStick makes a signed stick with all that counties keep on one.
func mustStick(t *testing.T) (*media.Stick, []byte) {
	t.Helper()
	stick, err := media.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	key, der := mustKey(t)
	if _, err := stick.Write(media.Manifest{MadeAt: time.Now(), MadeBy: "State of Example", Version: "1.0.0"}, contents, key); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"MUSTER/hosts/0123456789abcdef/outbox/00000001.report", "MUSTER/hosts/0123456789abcdef/key/host.pem",
		"MUSTER/outgoing/host-1-2-01234567.courier", "MUSTER/incoming/host.return", "MUSTER/custody.jsonl",
		"System Volume Information/WPSettings.dat", ".Trash-1000/info/x",
	} {
		put(t, stick, name, "a file of the county")
	}
	return stick, der
}

func put(t *testing.T, stick *media.Stick, name, text string) {
	t.Helper()
	path := filepath.Join(stick.Root(), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func verify(t *testing.T, stick *media.Stick, keys ...[]byte) *media.Report {
	t.Helper()
	r, err := stick.Verify(keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// found gives the problems as "kind path".
func found(r *media.Report) []string {
	var list []string
	for _, p := range r.Problems {
		list = append(list, p.Kind+" "+p.Path)
	}
	return list
}

func TestGoodStick(t *testing.T) {
	stick, key := mustStick(t)
	_, other := mustKey(t)
	r := verify(t, stick, other, key)
	if len(r.Problems) > 0 || r.Good != len(contents)+1 || !bytes.Equal(r.Signer, key) || r.Manifest.MadeBy != "State of Example" {
		t.Errorf("%+v", r)
	}
}

// Whatever is done to a stick, verify names the file.
func TestHostileStick(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(t *testing.T, s *media.Stick)
		want []string
	}{
		"missing": {func(t *testing.T, s *media.Stick) { remove(t, s, "MUSTER/bin/muster.exe") }, []string{"missing MUSTER/bin/muster.exe"}},
		"changed": {func(t *testing.T, s *media.Stick) { put(t, s, "MUSTER/bin/muster.exe", "MZ for windows") }, []string{"changed MUSTER/bin/muster.exe"}},
		"longer":  {func(t *testing.T, s *media.Stick) { put(t, s, "MUSTER/bin/muster.exe", "MZ for Windows!") }, []string{"changed MUSTER/bin/muster.exe"}},
		"a folder in its place": {func(t *testing.T, s *media.Stick) {
			remove(t, s, "MUSTER/site.json")
			put(t, s, "MUSTER/site.json/x", "x")
		}, []string{"unreadable MUSTER/site.json", "added MUSTER/site.json/x"}},
		"a library beside the program": {func(t *testing.T, s *media.Stick) { put(t, s, "MUSTER/bin/version.dll", "x") }, []string{"program MUSTER/bin/version.dll"}},
		"autorun":                      {func(t *testing.T, s *media.Stick) { put(t, s, "AutoRun.inf", "x") }, []string{"program AutoRun.inf"}},
		"a program without a name":     {func(t *testing.T, s *media.Stick) { put(t, s, "MUSTER/outgoing/x.courier", "MZ\x90") }, []string{"program MUSTER/outgoing/x.courier"}},
		"a script in the bin":          {func(t *testing.T, s *media.Stick) { put(t, s, "$RECYCLE.BIN/x", "#!/bin/sh") }, []string{"program $RECYCLE.BIN/x"}},
		"a shortcut among the reports": {func(t *testing.T, s *media.Stick) { put(t, s, "MUSTER/hosts/a/Report.LNK", "x") }, []string{"program MUSTER/hosts/a/Report.LNK"}},
		"a file of somebody":           {func(t *testing.T, s *media.Stick) { put(t, s, "budget.xlsx", "x") }, []string{"added budget.xlsx"}},
		"no signature":                 {func(t *testing.T, s *media.Stick) { remove(t, s, "MUSTER/manifest.sig") }, []string{"signature MUSTER/manifest.json"}},
		"a signature that is junk":     {func(t *testing.T, s *media.Stick) { put(t, s, "MUSTER/manifest.sig", "x") }, []string{"signature MUSTER/manifest.json"}},
		"a manifest with a space more": {func(t *testing.T, s *media.Stick) {
			b, err := os.ReadFile(s.Path("manifest.json"))
			if err != nil {
				t.Fatal(err)
			}
			put(t, s, "MUSTER/manifest.json", string(b)+" ")
		}, []string{"signature MUSTER/manifest.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			stick, key := mustStick(t)
			test.do(t, stick)
			if diff := cmp.Diff(test.want, found(verify(t, stick, key))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func remove(t *testing.T, s *media.Stick, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(s.Root(), filepath.FromSlash(name))); err != nil {
		t.Fatal(err)
	}
}

func TestOtherKey(t *testing.T) {
	stick, _ := mustStick(t)
	_, other := mustKey(t)
	if r := verify(t, stick, other); r.Manifest != nil || r.Good != 0 || len(r.Problems) != 1 {
		t.Errorf("%+v", r)
	}
}

// A link can lead a reader away from the stick. FAT has none.
func TestLink(t *testing.T) {
	stick, key := mustStick(t)
	remove(t, stick, "MUSTER/bin/muster")
	elsewhere := filepath.Join(t.TempDir(), "muster")
	if err := os.WriteFile(elsewhere, contents[0].Data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, stick.Path("bin", "muster")); err != nil {
		t.Skipf("no links here: %v", err)
	}
	if got := found(verify(t, stick, key)); !slices.Contains(got, "unreadable MUSTER/bin/muster") {
		t.Errorf("%q", got)
	}
}

// The state writes to a stick that came back through no link on it.
func TestWriteThroughALink(t *testing.T) {
	stick, _ := mustStick(t)
	key, _ := mustKey(t)
	elsewhere := t.TempDir()
	if err := os.WriteFile(filepath.Join(elsewhere, "muster"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(stick.Path("bin")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, stick.Path("bin")); err != nil {
		t.Skipf("no links here: %v", err)
	}
	_, err := stick.Write(media.Manifest{MadeAt: time.Now()}, contents[3:], key)
	if _, gone := os.Stat(filepath.Join(elsewhere, "muster")); err == nil || gone != nil {
		t.Errorf("%v, and elsewhere %v", err, gone)
	}
}

// On FAT a name has no case: one that is shown otherwise is the same file, and two
// that differ in case only are one too many.
func TestCase(t *testing.T) {
	stick, key := mustStick(t)
	put(t, stick, "MUSTER/BIN2", "x")
	remove(t, stick, "MUSTER/BIN2")
	put(t, stick, "MUSTER/SITE.JSON", "{}")
	if _, err := os.Stat(stick.Path("Site.Json")); err == nil {
		t.Skip("this file system has no case")
	}
	if got := verify(t, stick, key); len(got.Problems) != 1 || !strings.Contains(got.Problems[0].Text, "case only") {
		t.Errorf("%+v", got)
	}
}

// A second writing leaves what counties keep, and takes the old release away.
func TestWriteAgain(t *testing.T) {
	stick, _ := mustStick(t)
	key, der := mustKey(t)
	fewer := []media.Content{contents[0], contents[3]}
	if _, err := stick.Write(media.Manifest{MadeAt: time.Now(), Version: "1.0.1"}, fewer, key); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, stick, der); len(r.Problems) > 0 || r.Good != len(fewer)+1 {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(stick.Path("hosts", "0123456789abcdef", "key", "host.pem")); err != nil {
		t.Error(err)
	}
}

// Stopped anywhere, the writing leaves a stick that does not verify, unless it
// came to the end.
func TestWriteStopped(t *testing.T) {
	stick, _ := mustStick(t)
	key, der := mustKey(t)
	if err := os.Mkdir(stick.Path("bin", "new"), 0o755); err != nil {
		t.Fatal(err)
	}
	stopped := append(slices.Clone(contents), media.Content{Path: "bin/new", Data: []byte("x")})
	if _, err := stick.Write(media.Manifest{MadeAt: time.Now()}, stopped, key); err == nil {
		t.Fatal("a file took the place of a folder")
	}
	if r := verify(t, stick, der); r.Manifest != nil || len(r.Problems) == 0 {
		t.Errorf("%+v", r)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if _, err := media.Open(dir); !errors.Is(err, media.ErrNoFolder) {
		t.Errorf("%v", err)
	}
	if _, err := media.Open(filepath.Join(dir, "x")); err == nil || !strings.Contains(err.Error(), "is the stick in") {
		t.Errorf("%v", err)
	}
	if _, err := media.Make(dir); err != nil {
		t.Fatal(err)
	}
	stick, err := media.Open(dir)
	if err != nil || stick.Gone() {
		t.Fatalf("%v, gone %v", err, stick.Gone())
	}
	if err := os.RemoveAll(stick.Dir()); err != nil || !stick.Gone() {
		t.Errorf("%v, gone %v", err, stick.Gone())
	}
}

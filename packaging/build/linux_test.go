package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/blakesmith/ar"
	"github.com/goreleaser/nfpm/v2"
)

// tiny is a release of this checkout whose packages hold little.
func tiny(t *testing.T, version string) *release {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return &release{root: root, out: t.TempDir(), version: version, time: time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)}
}

func packTiny(t *testing.T, r *release, format string, sign *gpgSigner) string {
	t.Helper()
	m := &made{r: r, dir: filepath.Join(r.out, ".linux")}
	if err := m.put("/usr/bin/muster", 0o755, "", []byte("#!/bin/sh\n")); err != nil {
		t.Fatal(err)
	}
	info, err := r.describe("muster", format, m.list)
	if err != nil {
		t.Fatal(err)
	}
	packager, err := nfpm.Get(format)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(r.out, packager.ConventionalFileName(info))
	if err := pack(packager, info, sign, path); err != nil {
		t.Fatal(err)
	}
	return path
}

func said(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// The same commit gives the same packages, wherever they are made and under whatever
// umask, and whoever signs them.
func TestPackagesAreReproducible(t *testing.T) {
	sign := newGPGSigner(t, "")
	for _, format := range []string{"deb", "rpm"} {
		one, err := os.ReadFile(packTiny(t, tiny(t, "1.2.3"), format, sign))
		if err != nil {
			t.Fatal(err)
		}
		r := tiny(t, "1.2.3")
		time.Sleep(1100 * time.Millisecond) // into the next second: a clock would show
		umask := syscall.Umask(0o077)
		path := packTiny(t, r, format, sign)
		syscall.Umask(umask)
		other, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, other) {
			t.Errorf("two %s of one commit differ", format)
		}
		if name, err := os.Hostname(); err == nil && len(name) > 4 && bytes.Contains(one, []byte(name)) {
			t.Errorf("the %s names the computer that made it", format)
		}
	}
}

// Versions before a release sort before it, and those after a commit after it.
func TestPackageVersionsSort(t *testing.T) {
	versions := []string{"0.0.1-dev.41+gabcdef0", "0.0.1-dev.410+g0abcdef", "0.0.1", "1.2.3-rc.1", "1.2.3-rc.1.dev.5+gabc", "1.2.3-rc.2", "1.2.3", "1.2.4-dev.5+gabc", "1.2.4", "1.10.0"}
	for i, v := range versions {
		path := packTiny(t, tiny(t, v), "deb", nil)
		if got := said(t, "dpkg-deb", "-f", path, "Version"); got != debVersion(v) {
			t.Errorf("%s: the deb is %s", v, got)
		}
		if i > 0 {
			said(t, "dpkg", "--compare-versions", debVersion(versions[i-1]), "lt", debVersion(v))
		}
	}
	path := packTiny(t, tiny(t, versions[0]), "rpm", nil)
	if got := said(t, "rpm", "-qp", "--nosignature", "--qf", "%{VERSION}-%{RELEASE} %{BUILDHOST} %{BUILDTIME}", path); got != "0.0.1~dev.41+gabcdef0-1 localhost 1793707200" {
		t.Error(got)
	}
}

func newGPGSigner(t *testing.T, passphrase string) *gpgSigner {
	t.Helper()
	dir := t.TempDir()
	config := &packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048}
	key, err := openpgp.NewEntity("Test", "", "test@example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	if passphrase != "" {
		if err := key.EncryptPrivateKeys([]byte(passphrase), config); err != nil {
			t.Fatal(err)
		}
	}
	var secret, public bytes.Buffer
	w, err := armor.Encode(&secret, openpgp.PrivateKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []func() error{
		func() error { return key.SerializePrivateWithoutSigning(w, config) },
		w.Close,
		func() error { return key.Serialize(&public) },
		func() error { return os.WriteFile(filepath.Join(dir, "key"), secret.Bytes(), 0o600) },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	sign, err := openSigner(filepath.Join(dir, "key"), passphrase, time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	return sign
}

// A key may be younger than the commit, and its part that signs younger still.
func TestTimesOfSignatures(t *testing.T) {
	born := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	later := born.AddDate(0, 1, 0)
	for name, c := range map[string]struct {
		primary, subkey bool // they sign
		at, want        time.Time
	}{
		"commit after the key":       {true, false, later, later},
		"commit before the key":      {true, false, born.AddDate(-1, 0, 0), born},
		"commit after the subkey":    {false, true, later.AddDate(1, 0, 0), later.AddDate(1, 0, 0)},
		"commit before the subkey":   {false, true, born.AddDate(0, 0, 1), later},
		"a key that signs only keys": {false, false, later, time.Time{}},
	} {
		config := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return born }}
		key, err := openpgp.NewEntity("Test", "", "test@example.com", config)
		if err != nil {
			t.Fatal(err)
		}
		key.PrimaryIdentity().SelfSignature.FlagSign = c.primary
		if c.subkey {
			if err := key.AddSigningSubkey(&packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Time: func() time.Time { return later }}); err != nil {
				t.Fatal(err)
			}
		}
		var secret bytes.Buffer
		if err := key.SerializePrivate(&secret, config); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, secret.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		sign, err := openSigner(path, "", c.at)
		if c.want.IsZero() {
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := sign.binary(strings.NewReader("a package")); err != nil || !sign.config.Now().Equal(c.want) {
			t.Errorf("%s: it signs at %s, %v", name, sign.config.Now(), err)
		}
	}
}

// A signed deb bears a signature of all that comes before it, and rpm itself takes that
// of an rpm.
func TestPackagesAreSigned(t *testing.T) {
	sign := newGPGSigner(t, "secret")
	b, err := os.ReadFile(packTiny(t, tiny(t, "1.2.3"), "deb", sign))
	if err != nil {
		t.Fatal(err)
	}
	var before bytes.Buffer
	var names []string
	members := ar.NewReader(bytes.NewReader(b))
	for {
		h, err := members.Next()
		if err != nil {
			t.Fatalf("no signature behind %v: %v", names, err)
		}
		var content bytes.Buffer
		if _, err := content.ReadFrom(members); err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if h.Name != "_gpgorigin" {
			before.Write(content.Bytes())
			continue
		}
		if _, err := openpgp.CheckArmoredDetachedSignature(openpgp.EntityList{sign.key}, &before, &content, nil); err != nil {
			t.Error(err)
		}
		break
	}
	if got := strings.Join(names, " "); got != "debian-binary control.tar.gz data.tar.zst _gpgorigin" {
		t.Error(got)
	}

	path := packTiny(t, tiny(t, "1.2.3"), "rpm", sign)
	public := filepath.Join(t.TempDir(), "public")
	var armored bytes.Buffer
	w, err := armor.Encode(&armored, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.key.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(public, armored.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	db := t.TempDir()
	said(t, "rpmkeys", "--dbpath", db, "--import", public)
	if got := said(t, "rpmkeys", "--dbpath", db, "-K", path); !strings.HasSuffix(got, "digests signatures OK") {
		t.Error(got)
	}
}

const sampleHelp = `Do what is said.
.Not a request, and a back\slash.

  a table   stays
  as it is

Exit codes: 0 done; 1 it
failed; 2 wrong.

Usage:
  muster do FILE [flags]

Examples:
  muster do 'it'

Available Commands:
  it           Do it
  something-long Do something with a long name
  completion   Generate the autocompletion script for the specified shell

Flags:
  -h, --help           help for do
      --out FILE       write to this FILE, and
                       no other
`

// man finds nothing wrong with a page, and nothing is missing in it.
func TestManual(t *testing.T) {
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("man is not installed")
	}
	answers := map[string]string{
		"--help":                strings.ReplaceAll(sampleHelp, "muster do", "muster"),
		"it --help":             "Do it\n\nUsage:\n  muster it\n",
		"something-long --help": "Do something\n\nUsage:\n  muster something-long\n\nEXIT STATUS\n  0  well\n  7  seven\nTreat others as 7.\n",
	}
	ask := func(args ...string) (string, error) { return answers[strings.Join(args, " ")], nil }
	pages, err := manual{"muster", 1, "do"}.pages(ask, tiny(t, "1.2.3"))
	if err != nil || len(pages) != 3 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	texts := map[string]string{}
	for _, p := range pages {
		path := filepath.Join(t.TempDir(), p.name+".1")
		if err := os.WriteFile(path, p.text, 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("man", "--warnings", "-l", path)
		cmd.Env = append(os.Environ(), "MANWIDTH=100", "LC_ALL=C.UTF-8", "MANPAGER=cat")
		var warnings bytes.Buffer
		cmd.Stderr = &warnings
		out, err := cmd.Output()
		if err != nil || warnings.Len() > 0 {
			t.Errorf("man: %v %s", err, &warnings)
		}
		texts[p.name] = string(out)
	}
	for page, wants := range map[string][]string{
		"muster":                {"muster - do", ".Not a request, and a back\\slash.", "a table   stays", "--out FILE", "write to this FILE, and no other", "1      it failed", "130    stopped", "muster 'it'", "muster-it(1), muster-something-long(1)"},
		"muster-it":             {"muster-it - do it", "0      done", "muster(1)"},
		"muster-something-long": {"7      seven", "Treat others as 7."},
	} {
		for _, want := range wants {
			if !strings.Contains(texts[page], want) {
				t.Errorf("%s lacks %q:\n%s", page, want, texts[page])
			}
		}
	}
	answers["it --help"] = answers["--help"] // a program that takes any word for help of its own
	if _, err := (manual{"muster", 1, "do"}).pages(ask, tiny(t, "1.2.3")); err == nil {
		t.Error("the help of another command is taken")
	}
}

func TestPackagedConfig(t *testing.T) {
	sample, err := os.ReadFile("../../collector/settings/sample.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config, err := packagedConfig(string(sample))
	if err != nil || !strings.Contains(config, "\ndata: /var/lib/muster-collector\n") {
		t.Errorf("%v\n%s", err, config)
	}
	if _, err := packagedConfig("nothing"); err == nil {
		t.Error("another file is taken")
	}
}

func TestDebianLog(t *testing.T) {
	got := string(tiny(t, "1.2.3-rc.1").debianLog("muster", "# Changelog\n\n## Unreleased\n\n- [FEATURE] One\n  goes on, and on, and on, until it is longer than a line of Debian may be at most.\n- Two.\n\n## 1.2.2\n\n- Old.\n"))
	want := "muster (1.2.3~rc.1) stable; urgency=medium\n\n  * One goes on, and on, and on, until it is longer than a line of Debian may\n    be at most.\n  * Two.\n\n -- " + maintainer + "  Tue, 03 Nov 2026 12:00:00 +0000\n"
	if got != want {
		t.Errorf("%s", got)
	}
}

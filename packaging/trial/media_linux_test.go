package trial

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// The folder that make media makes is what was signed, until anything in it is
// otherwise.
func TestMedia(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the programs for two systems")
	}
	t.Parallel()
	muster := filepath.Join(packages(t, "linux", older), ".programs", "linux-amd64", "muster")
	out, dir := t.TempDir(), t.TempDir()
	key, bundle, site := filepath.Join(dir, "key.pem"), filepath.Join(dir, "policy.tar.gz"), filepath.Join(dir, "site.json")
	secret := filepath.Join(dir, "passphrase")
	if err := os.WriteFile(secret, []byte("four words nobody guesses"), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, muster, "policy", "keygen", "-o", key, "--passphrase-file", secret)
	command(t, muster, "policy", "build", "../../policies", "-o", bundle, "--version", "1", "--key", key, "--passphrase-file", secret)
	writeSite(t, site, key+".pub")
	cmd := exec.Command("go", "-C", "../build", "run", ".", "-o", out, "-version", older, "-key", key, "-site", site, "-bundle", bundle, "media")
	cmd.Env = append(os.Environ(), "MUSTER_KEY_PASSPHRASE=four words nobody guesses")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make media: %v\n%s", err, said)
	}

	media := filepath.Join(out, "media")
	verify := func() (string, error) {
		said, err := exec.Command(muster, "verify-media", media, "--site", site).CombinedOutput()
		return string(said), err
	}
	said, err := verify()
	if err != nil || !strings.Contains(said, "nothing else is there") || !strings.Contains(said, "version 1") {
		t.Fatalf("%v\n%s", err, said)
	}
	same(t, filepath.Join(media, "MUSTER", "bin", "muster"), muster)
	if b := read(t, filepath.Join(media, "MUSTER", "bin", "muster.exe")); !bytes.HasPrefix(b, []byte("MZ")) {
		t.Error("muster.exe is no program for Windows")
	}
	for file, want := range map[string]string{"LICENSE": "Apache License", "THIRD-PARTY-NOTICES-linux": "godbus", "THIRD-PARTY-NOTICES-windows": "go-ole"} {
		if text := read(t, filepath.Join(media, "MUSTER", "licences", file+".txt")); !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s does not tell of %s", file, want)
		}
	}
	if page := read(t, filepath.Join(media, "MUSTER", "INSTRUCTIONS.html")); !bytes.Contains(page, []byte("Albany County, Wyoming")) || !bytes.Contains(page, []byte("muster.exe audit")) {
		t.Errorf("the instructions are of no use:\n%s", page)
	}

	refused := func(what string) {
		t.Helper()
		if said, err := verify(); err == nil {
			t.Errorf("%s is accepted:\n%s", what, said)
		}
	}
	files := 0
	err = filepath.WalkDir(media, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, ".aside") {
			return err
		}
		files++
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		var b [1]byte
		at := info.Size() / 2
		flip := func() {
			if _, err = f.ReadAt(b[:], at); err != nil {
				t.Fatal(err)
			}
			b[0] ^= 1
			if _, err = f.WriteAt(b[:], at); err != nil {
				t.Fatal(err)
			}
		}
		flip()
		refused(name + " with another byte")
		flip()
		aside := filepath.Join(dir, "aside")
		for what, to := range map[string]string{"removed": aside, "renamed": name + ".aside"} {
			if err := os.Rename(name, to); err != nil {
				return err
			}
			refused(name + " " + what)
			if err := os.Rename(to, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || files != 11 {
		t.Errorf("%d files, %v", files, err)
	}
	added := filepath.Join(media, "MUSTER", "bin", "muster.txt")
	if err := os.WriteFile(added, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	refused("a file more")
	if err := os.Remove(added); err != nil {
		t.Fatal(err)
	}
	if said, err := verify(); err != nil {
		t.Errorf("as it was before: %v\n%s", err, said)
	}
}

func writeSite(t *testing.T, name, public string) {
	t.Helper()
	block, _ := pem.Decode(read(t, public))
	if block == nil {
		t.Fatalf("%s is no PEM", public)
	}
	b, err := json.Marshal(muster.Site{
		Schema: muster.SiteSchema, Name: "State of Example", State: "56", County: "56001", Collector: "https://collector.example.test",
		PolicyKeys: [][]byte{block.Bytes}, ReceiptKeys: [][]byte{block.Bytes},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func same(t *testing.T, a, b string) {
	t.Helper()
	if sha256.Sum256(read(t, a)) != sha256.Sum256(read(t, b)) {
		t.Errorf("%s is not the same as %s", a, b)
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}

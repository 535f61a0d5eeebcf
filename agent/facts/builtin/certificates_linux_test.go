package builtin

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// TestRootsAgreeWithOpenSSL compares the subjects and fingerprints of this
// computer's bundle with what openssl says, where it is at hand.
func TestRootsAgreeWithOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	rows, tableErr := gather(t, host{}.certificates())
	if err != nil || errors.Is(tableErr, facts.ErrUnavailable) {
		return
	}
	if tableErr != nil {
		t.Fatal(tableErr)
	}
	text, err := host{}.text(rows[0]["path"])
	if err != nil {
		t.Fatal(err)
	}
	for i, der := range certificatesIn(text) {
		if i%10 != 0 {
			continue // each costs a process
		}
		cmd := exec.Command(openssl, "x509", "-noout", "-subject", "-issuer", "-nameopt", "oneline", "-fingerprint", "-sha1", "-serial")
		cmd.Stdin = strings.NewReader(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		want := muster.Row{}
		for line := range strings.Lines(string(out)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch strings.ToLower(key) {
			case "subject":
				want["subject2"] = value
			case "issuer":
				want["issuer2"] = value
			case "serial":
				if want["serial"] = value; value == "00" {
					want["serial"] = "0" // so BN_bn2hex, which osquery asks
				}
			case "sha1 fingerprint":
				want["sha1"] = strings.ToLower(strings.ReplaceAll(value, ":", ""))
			}
		}
		if rowWith(rows, want) == nil {
			t.Errorf("no row %v", want)
		}
	}
}

func TestRootsOfOneFile(t *testing.T) {
	h := host{"testdata/hosts/debian"}
	const path = "/usr/local/share/ca-certificates/county/root.crt"
	if rows := mustGather(t, h.certificates(), equal("path", path)); len(rows) != 1 || rows[0]["path"] != path {
		t.Errorf("got %v", rows)
	}
	if rows := mustGather(t, h.certificates(), equal("path", "/etc/passwd")); len(rows) != 0 {
		t.Errorf("got %v", rows)
	}
	text, err := h.text(path)
	if err != nil {
		t.Fatal(err)
	}
	der := host{tree(t, map[string]string{"etc/pki/ca-trust/source/anchors/root": string(certificatesIn(text)[0])})}
	if rows := mustGather(t, der.certificates()); len(rows) != 1 || rows[0]["common_name"] != "County Test Röot" {
		t.Errorf("a root in DER: %v", rows)
	}
	if _, err := gather(t, host{t.TempDir()}.certificates()); !errors.Is(err, facts.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
}

// FuzzRoots: every certificate in a file keeps its fingerprint, and its names
// hold plain characters only.
func FuzzRoots(f *testing.F) {
	for _, path := range []string{"/usr/local/share/ca-certificates/county/root.crt", "/etc/ssl/certs/ca-certificates.crt"} {
		text, err := host{"testdata/hosts/debian"}.text(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(text), certificatesIn(text)[0])
	}
	f.Fuzz(func(t *testing.T, file, der []byte) {
		for _, c := range append(certificatesIn(string(file)), der) {
			r := opensslRow(c)
			if sum := sha1.Sum(c); r["sha1"] != hex.EncodeToString(sum[:]) {
				t.Errorf("fingerprint %s", r["sha1"])
			}
			for _, column := range []string{"subject", "subject2", "issuer", "issuer2"} {
				if strings.ContainsFunc(r[column], func(c rune) bool { return c < ' ' || c > '~' }) {
					t.Errorf("%s is %q", column, r[column])
				}
			}
		}
		name := parseName(der)
		if strings.Count(name.slashes(), "=") < len(name) {
			t.Errorf("%q has not %d parts", name.slashes(), len(name))
		}
	})
}

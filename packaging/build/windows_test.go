package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestNumbersOfWindowsInstaller(t *testing.T) {
	for version, good := range map[string]bool{"1.2.3": true, "255.255.65535-rc.1": true, "256.0.0": false, "1.256.0": false, "1.0.65536": false} {
		if err := (&release{version: version}).msiNumber(); (err == nil) != good {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestGUID(t *testing.T) {
	a, b := guid([]byte("ab"), []byte("c")), guid([]byte("a"), []byte("bc"))
	if a == b || a != guid([]byte("ab"), []byte("c")) {
		t.Errorf("%s and %s", a, b)
	}
	if !regexp.MustCompile(`^\{[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}\}$`).MatchString(a) {
		t.Errorf("%s is none", a)
	}
}

func TestSigner(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cert, key string
		works     bool
	}{{"", "", true}, {file, "", false}, {"", file, false}, {file, file + "x", false}, {file, file, true}} {
		t.Setenv("MUSTER_SIGN_CERT", c.cert)
		t.Setenv("MUSTER_SIGN_KEY", c.key)
		s, err := newSigner(&release{})
		if (err == nil) != c.works || (s != nil) != (c.works && c.key != "") {
			t.Errorf("%q, %q: %v, %v", c.cert, c.key, s, err)
		}
	}
	// Without a key the file is handed on as it is.
	var none *signer
	if err := none.sign(t.Context(), file, file+"2"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file + "2"); err != nil || string(b) != "content" {
		t.Errorf("%q, %v", b, err)
	}
}

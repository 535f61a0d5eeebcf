package signing

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"strings"
	"testing"
)

func mustKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestKeyRoundTrip(t *testing.T) {
	key := mustKey(t, elliptic.P256())
	asked := 0
	for _, passphrase := range []string{"", "correct horse battery"} {
		text, err := MarshalKey(key, []byte(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseKey(text, func() ([]byte, error) { asked++; return []byte(passphrase), nil })
		if err != nil || !again.Equal(key) {
			t.Errorf("passphrase %q: another key came back: %v", passphrase, err)
		}
	}
	if asked != 1 {
		t.Errorf("the passphrase was asked %d times for one encrypted key", asked)
	}
}

func TestParseKeyRefuses(t *testing.T) {
	text, err := MarshalKey(mustKey(t, elliptic.P256()), []byte("correct horse battery"))
	if err != nil {
		t.Fatal(err)
	}
	odd, err := MarshalKey(mustKey(t, elliptic.P384()), nil)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	as := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	greedy, err := seal([]byte("x"), []byte("p"), 1)
	if err != nil {
		t.Fatal(err)
	}
	// The rounds are one byte, 1; no other INTEGER of this file is.
	greedy = bytes.Replace(greedy, []byte{2, 1, 1}, []byte{2, 1, 0}, 1)
	for name, c := range map[string]struct {
		text []byte
		says string
	}{
		"no PEM":           {[]byte("x"), "no PEM file"},
		"a public key":     {as(publicType, nil), "holds a PUBLIC KEY"},
		"not PKCS 8":       {as(plainType, []byte("x")), "no PKCS #8 key"},
		"another curve":    {odd, "no ECDSA P-256 key"},
		"wrong passphrase": {text, ErrPassphrase.Error()},
		"cut off":          {as(sealedType, block.Bytes[:len(block.Bytes)-1]), "no encrypted PKCS #8 key"},
		"no rounds":        {as(sealedType, greedy), "asks for 0 rounds"},
	} {
		if _, err := ParseKey(c.text, func() ([]byte, error) { return []byte("wrong"), nil }); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.says)
		}
	}
	nobody := errors.New("nobody is there")
	if _, err := ParseKey(text, func() ([]byte, error) { return nil, nobody }); !errors.Is(err, nobody) {
		t.Errorf("error %v, want %v", err, nobody)
	}
	for name, text := range map[string][]byte{"no PEM": nil, "private": odd, "no key": as(publicType, []byte("x"))} {
		if _, err := ParsePublic(text); err == nil {
			t.Errorf("%s is taken for a public key", name)
		}
	}
}

func TestCommand(t *testing.T) {
	said := &bytes.Buffer{}
	if _, err := Command(t.Context(), " ", said)(nil); err == nil {
		t.Error("an empty command signs")
	}
	if _, err := Command(t.Context(), "muster-no-such-program x", said)([]byte("input")); err == nil || !strings.Contains(err.Error(), "muster-no-such-program") {
		t.Errorf("error %v, want the name of the program", err)
	}
}

// What was sealed opens with its passphrase and with no other, and no file
// opens as anything that is not what was sealed.
func FuzzUnseal(f *testing.F) {
	der, err := x509.MarshalPKCS8PrivateKey(mustKey(f, elliptic.P256()))
	if err != nil {
		f.Fatal(err)
	}
	file, err := seal(der, []byte("words"), 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file, []byte("words"))
	f.Add(der, []byte(""))
	f.Add([]byte{0x30, 0}, []byte("words"))
	f.Fuzz(func(t *testing.T, data, passphrase []byte) {
		file, err := seal(data, passphrase, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := unseal(file, passphrase); err != nil || !bytes.Equal(got, data) {
			t.Errorf("what was sealed does not open: %v", err)
		}
		if got, err := unseal(file, append(passphrase, 'x')); err == nil && len(data) > 16 && bytes.Equal(got, data) {
			t.Error("it opens with another passphrase")
		}
		if len(data) < 300 { // whatever the bytes, within the bounds of what they may ask for
			_, _ = ParseKey(pem.EncodeToMemory(&pem.Block{Type: sealedType, Bytes: data}), func() ([]byte, error) { return passphrase, io.EOF })
			_, _ = unseal(data, passphrase)
		}
	})
}

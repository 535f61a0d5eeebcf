package outbox

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"os"
	"testing"

	"github.com/passmuster/muster"
)

func mustSeal(t *testing.T, fill byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		t.Fatal(err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	return seal
}

// On a stick that is lost nobody reads the reports, and nothing else changes.
func TestSealed(t *testing.T) {
	h, dir := mustHost(t), t.TempDir()
	plain := mustAppend(t, mustOpen(t, dir), h.build(muster.StatusFail))
	open := func(seal cipher.AEAD) (*Outbox, error) { return Open(dir, Options{Seal: seal}) }
	box, err := open(mustSeal(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	first := mustAppend(t, box, h.build(muster.StatusPass))
	envelope := mustRead(t, box, first)
	mustRead(t, box, plain) // what was kept before stays readable

	finder, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := finder.Read(first); !errors.Is(err, ErrSealed) || errors.Is(err, ErrCorrupt) {
		t.Errorf("without the key: %v", err)
	}
	if d, err := finder.Depth(); err != nil || d.Reports != 2 || d.Corrupt != 0 {
		t.Errorf("%+v, %v", d, err)
	}

	// Another key is an error, and sets nothing aside.
	if _, err := open(mustSeal(t, 2)); !errors.Is(err, ErrSealed) {
		t.Errorf("with another key: %v", err)
	}
	if _, err := open(nil); !errors.Is(err, ErrSealed) {
		t.Errorf("without the key: %v", err)
	}

	if box, err = open(mustSeal(t, 1)); err != nil {
		t.Fatal(err)
	}
	second := mustAppend(t, box, h.build(muster.StatusPass))
	if got := h.header(t, mustRead(t, box, second)); got.Seq != first+1 || len(got.Gap) > 0 {
		t.Errorf("%+v", got)
	}
	if damaged, err := box.Verify(); err != nil || len(damaged) > 0 {
		t.Errorf("damaged %v, %v", damaged, err)
	}
	if err := box.Acknowledge(h.receipt(envelope, first)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(box.Base(), envelope) {
		t.Error("the base is another one")
	}

	// Damage is still told from a key that is missing.
	name := box.path(reportName(second))
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if damaged, err := box.Verify(); err != nil || len(damaged) != 1 {
		t.Errorf("damaged %v, %v", damaged, err)
	}
}

// A sealed report does not pass for another one of the same host.
func TestSealedFileRenamed(t *testing.T) {
	h, dir := mustHost(t), t.TempDir()
	box, err := Open(dir, Options{Seal: mustSeal(t, 1)})
	if err != nil {
		t.Fatal(err)
	}
	first := mustAppend(t, box, h.build(muster.StatusPass))
	if err := os.Rename(box.path(reportName(first)), box.path(reportName(first+1))); err != nil {
		t.Fatal(err)
	}
	if _, err := box.Read(first + 1); !errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
}

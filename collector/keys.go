package collector

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// keys are the secrets of a collector, one file each, mode 0600.
type keys struct {
	// receipts (receipt.pem): the first signs receipts, and site files name all.
	receipts []*ecdsa.PrivateKey
	// age (age.key) opens courier files; site files name the first.
	age seal.Keys
	// hostToken (host-token) approves hosts on this computer; apiToken
	// (api-token) opens the JSON API for scripts on this computer.
	hostToken, apiToken string
}

// receipt is the key that signs.
func (k *keys) receipt() *ecdsa.PrivateKey { return k.receipts[0] }

func openKeys(dir string) (*keys, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the keys folder: %w", err)
	}
	for _, kind := range keyKinds {
		if _, err := secret(filepath.Join(dir, kind.file), kind.make); err != nil {
			return nil, err
		}
	}
	for _, name := range tokenFiles {
		if _, err := secret(filepath.Join(dir, name), func() ([]byte, error) { return []byte(rand.Text() + "\n"), nil }); err != nil {
			return nil, err
		}
	}
	return readKeys(dir)
}

// tokenFiles of the keys folder.
var tokenFiles = []string{"host-token", "api-token"}

// readKeys reads the keys that are there, and makes none.
func readKeys(dir string) (*keys, error) {
	k := &keys{}
	for _, f := range []struct {
		name  string
		parse func([]byte) error
	}{
		{receiptFile, func(b []byte) (err error) { k.receipts, err = parseReceiptKeys(b); return err }},
		{ageFile, func(b []byte) (err error) { k.age, err = seal.ParseKeys(b); return err }},
		{tokenFiles[0], parseToken(&k.hostToken)},
		{tokenFiles[1], parseToken(&k.apiToken)},
	} {
		path := filepath.Join(dir, f.name)
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		if err := f.parse(b); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return k, nil
}

func parseToken(into *string) func([]byte) error {
	return func(b []byte) error {
		if *into = strings.TrimSpace(string(b)); *into == "" {
			return errors.New("it is empty: delete it to have another made")
		}
		return nil
	}
}

// parseReceiptKeys reads one key or several, in PEM.
func parseReceiptKeys(b []byte) (list []*ecdsa.PrivateKey, err error) {
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		key, err := wire.ParseKey(pem.EncodeToMemory(block))
		if err != nil {
			return nil, err
		}
		list = append(list, key)
	}
	if list == nil {
		_, err = wire.ParseKey(b) // says what is wrong
	}
	return list, err
}

// secret reads a file, which it makes first where it is not there. Of several
// processes that make it at once, all read what one has made.
func secret(path string, make func() ([]byte, error)) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := keep(path, make); err != nil {
			return nil, err
		}
		b, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	return b, nil
}

// keep writes a new file that replaces no other one.
func keep(path string, make func() ([]byte, error)) error {
	b, err := make()
	if err != nil {
		return err
	}
	mine := path + "." + rand.Text()
	if err := durable.WriteFile(mine, b, 0o600); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	err = os.Link(mine, path)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	// Remove also makes the link durable.
	if err := errors.Join(err, durable.Remove(mine)); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}

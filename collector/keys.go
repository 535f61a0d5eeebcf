package collector

import (
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// keys are the secrets of a collector, one file each, mode 0600.
type keys struct {
	receipt *ecdsa.PrivateKey // receipt.pem signs receipts
	// age (age.key) opens courier files: the newest key first, one a line.
	age seal.Keys
	// hostToken (host-token) approves hosts on this computer; apiToken
	// (api-token) opens the JSON API for scripts on this computer.
	hostToken, apiToken string
}

func openKeys(dir string) (*keys, error) {
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the keys folder: %w", err)
	}
	pem, err := secret(filepath.Join(dir, "receipt.pem"), func() ([]byte, error) {
		key, err := wire.NewKey()
		if err != nil {
			return nil, err
		}
		return wire.MarshalKey(key)
	})
	if err != nil {
		return nil, err
	}
	k := &keys{}
	if k.receipt, err = wire.ParseKey(pem); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, "receipt.pem"), err)
	}
	sealing, err := secret(filepath.Join(dir, "age.key"), seal.NewKey)
	if err != nil {
		return nil, err
	}
	if k.age, err = seal.ParseKeys(sealing); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, "age.key"), err)
	}
	for name, into := range map[string]*string{"host-token": &k.hostToken, "api-token": &k.apiToken} {
		b, err := secret(filepath.Join(dir, name), func() ([]byte, error) { return []byte(rand.Text() + "\n"), nil })
		if err != nil {
			return nil, err
		}
		if *into = strings.TrimSpace(string(b)); *into == "" {
			return nil, fmt.Errorf("read %s: it is empty: delete it to have another made", filepath.Join(dir, name))
		}
	}
	return k, nil
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

// SiteOptions of Site. County, CollectorURL and PolicyKeys are required.
type SiteOptions struct {
	County  muster.County
	Profile muster.Profile // "" means workstation
	// CollectorURL is where hosts of the county find this collector. The token
	// for loopback is put in only where this is an address of this computer.
	CollectorURL string
	// ControlURL of the tailnet that leads there; "" means Tailscale's own.
	ControlURL string
	// PolicyKeys are public keys, DER (SubjectPublicKeyInfo).
	PolicyKeys [][]byte
}

// Site makes the site file for a county.
func (c *Collector) Site(o SiteOptions) (*muster.Site, error) {
	der, err := wire.MarshalPublicKey(c.keys.receipt.Public())
	if err != nil {
		return nil, err
	}
	s := &muster.Site{
		Schema: muster.SiteSchema, Name: c.Name, State: o.County.State(), County: o.County, Profile: o.Profile,
		Collector: o.CollectorURL, ControlURL: o.ControlURL, PolicyKeys: o.PolicyKeys, ReceiptKeys: [][]byte{der},
		AgeRecipient: c.keys.age.Recipient(), Demo: c.Demo,
	}
	if onLoopback(o.CollectorURL) {
		s.Token = c.keys.hostToken
	}
	return s, nil
}

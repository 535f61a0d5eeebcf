package collector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// Files of the keys folder that hold several keys, the one in use first.
const (
	receiptFile = "receipt.pem"
	ageFile     = "age.key"
)

// Kinds of keys that rotate.
const (
	ReceiptKey = "receipt"
	AgeKey     = "age"
)

// keyKind is how keys of one kind are made and told apart.
type keyKind struct {
	name, file string
	make       func() ([]byte, error)
	// split gives each key of a file as it stands there, and what is public of it.
	split func(file []byte) (texts, public [][]byte, err error)
}

var keyKinds = []keyKind{
	{ReceiptKey, receiptFile, func() ([]byte, error) {
		key, err := wire.NewKey()
		if err != nil {
			return nil, err
		}
		return wire.MarshalKey(key)
	}, splitReceipts},
	{AgeKey, ageFile, seal.NewKey, splitAge},
}

func splitReceipts(file []byte) (texts, public [][]byte, err error) {
	list, err := parseReceiptKeys(file)
	for _, key := range list {
		text, err1 := wire.MarshalKey(key)
		der, err2 := wire.MarshalPublicKey(key.Public())
		texts, public, err = append(texts, text), append(public, der), errors.Join(err, err1, err2)
	}
	return texts, public, err
}

func splitAge(file []byte) (texts, public [][]byte, err error) {
	list, err := seal.ParseKeys(file)
	for i, key := range list {
		texts = append(texts, []byte(key.String()+"\n"))
		public = append(public, []byte(list[i:].Recipient()))
	}
	return texts, public, err
}

// receiptPublic are the public halves of the receipt keys, DER, the one in use first.
func (k *keys) receiptPublic() (list [][]byte, err error) {
	for _, key := range k.receipts {
		der, err := wire.MarshalPublicKey(key.Public())
		if err != nil {
			return nil, err
		}
		list = append(list, der)
	}
	return list, nil
}

// KeyInfo tells of one key; there is no secret in it.
type KeyInfo struct {
	Kind string `json:"kind"` // ReceiptKey or AgeKey
	ID   string `json:"id"`   // the first 12 hex digits of the SHA-256 of its public half
	// InUse: it signs receipts, or is what new site files have files sealed to.
	InUse bool `json:"in_use"`
}

func keyID(public []byte) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:6])
}

// Keys lists the keys that rotate, the one in use first of its kind.
func (c *Collector) Keys() (list []KeyInfo, err error) {
	for _, kind := range keyKinds {
		_, public, err := kind.read(c.keysFolder())
		if err != nil {
			return nil, err
		}
		for i, p := range public {
			list = append(list, KeyInfo{kind.name, keyID(p), i == 0})
		}
	}
	return list, nil
}

func (k keyKind) read(dir string) (texts, public [][]byte, err error) {
	path := filepath.Join(dir, k.file)
	b, err := os.ReadFile(path)
	if err == nil {
		texts, public, err = k.split(b)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return texts, public, nil
}

// AddKey makes a key that is not in use yet: new site files name a receipt key, so
// that hosts trust it before it signs; an age key opens what is sealed to it.
func (c *Collector) AddKey(ctx context.Context, kind, actor string) (KeyInfo, error) {
	var added KeyInfo
	err := c.changeKeys(ctx, kind, "add", actor, func(k keyKind, texts, public [][]byte) ([][]byte, string, error) {
		text, err := k.make()
		if err != nil {
			return nil, "", err
		}
		_, mine, err := k.split(text)
		if err != nil {
			return nil, "", err
		}
		added = KeyInfo{Kind: k.name, ID: keyID(mine[0])}
		return append(texts, text), added.ID, nil
	})
	return added, err
}

// UseKey takes a key into use: a receipt key signs from the next start on; an age key
// is in site files from now on. An unknown one is an error that is fs.ErrNotExist.
func (c *Collector) UseKey(ctx context.Context, kind, id, actor string) error {
	return c.changeKeys(ctx, kind, "use", actor, func(_ keyKind, texts, public [][]byte) ([][]byte, string, error) {
		i, err := findKey(public, kind, id)
		if err != nil {
			return nil, "", err
		}
		mine := texts[i]
		return slices.Insert(slices.Delete(texts, i, i+1), 0, mine), id, nil
	})
}

// DropKey forgets a key for good, which must not be in use.
func (c *Collector) DropKey(ctx context.Context, kind, id, actor string) error {
	return c.changeKeys(ctx, kind, "drop", actor, func(_ keyKind, texts, public [][]byte) ([][]byte, string, error) {
		i, err := findKey(public, kind, id)
		if err == nil && i == 0 {
			err = fmt.Errorf("the %s key %s is in use: take another into use first", kind, id)
		}
		if err != nil {
			return nil, "", err
		}
		return slices.Delete(texts, i, i+1), id, nil
	})
}

func findKey(public [][]byte, kind, id string) (int, error) {
	i := slices.IndexFunc(public, func(p []byte) bool { return keyID(p) == id })
	if i < 0 {
		return 0, fmt.Errorf("no %s key is called %s: muster-collector keys lists them: %w", kind, id, fs.ErrNotExist)
	}
	return i, nil
}

// changeKeys rewrites the file of a kind and logs it first.
func (c *Collector) changeKeys(ctx context.Context, name, verb, actor string, change func(k keyKind, texts, public [][]byte) ([][]byte, string, error)) error {
	i := slices.IndexFunc(keyKinds, func(k keyKind) bool { return k.name == name })
	if i < 0 {
		return fmt.Errorf("there are keys of the kinds %s and %s, not %q", ReceiptKey, AgeKey, name)
	}
	kind := keyKinds[i]
	// Two that change keys at once would lose one of the changes.
	ran, err := c.store.Once(ctx, "keys", func(ctx context.Context) error {
		texts, public, err := kind.read(c.keysFolder())
		if err != nil {
			return err
		}
		texts, id, err := change(kind, texts, public)
		if err != nil {
			return err
		}
		if err := c.log(ctx, actor, "rotate_key", strings.Join([]string{verb, name, id}, " ")); err != nil {
			return err
		}
		if err := durable.WriteFile(filepath.Join(c.keysFolder(), kind.file), slices.Concat(texts...), 0o600); err != nil {
			return fmt.Errorf("write key: %w", err)
		}
		if c.keys, err = readKeys(c.keysFolder()); err != nil {
			return err
		}
		return c.announceKeys(ctx)
	})
	if err == nil && !ran {
		err = errors.New("someone else changes keys at this moment: try again")
	}
	return err
}

// The store remembers which receipt keys site files name, so that a collector that
// has lost its keys, or has others than its replicas, is noticed.
var announced = store.Ticket{Kind: "receipt_keys", Digest: sha256.Sum256([]byte("receipt keys")), Until: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}

func (c *Collector) announceKeys(ctx context.Context) error {
	t := announced
	var err error
	t.Value, err = c.keys.announcement()
	if err != nil {
		return err
	}
	return c.store.PutTicket(ctx, t)
}

// announcement is the ids of the receipt keys.
func (k *keys) announcement() ([]byte, error) {
	public, err := k.receiptPublic()
	var ids []string
	for _, p := range public {
		ids = append(ids, keyID(p))
	}
	return []byte(strings.Join(ids, " ")), err
}

// errOtherKeys says what to do where hosts may not know the key that signs.
var errOtherKeys = errors.New("the receipt key in keys/ is none that site files of this database have named, and hosts will refuse its receipts: put back keys/ of a backup, or of the other collectors; where it is lost, muster-collector keys use receipt makes this one known, and every host needs a new site file")

// known compares the key that signs with those that the store remembers; an error
// that is fs.ErrNotExist says that it remembers none yet.
func (k *keys) known(ctx context.Context, s store.Store) error {
	t, err := s.Ticket(ctx, announced.Kind, announced.Digest, false)
	if err != nil {
		return err
	}
	public, err := k.receiptPublic()
	if err == nil && !slices.Contains(strings.Fields(string(t.Value)), keyID(public[0])) {
		err = errOtherKeys
	}
	return err
}

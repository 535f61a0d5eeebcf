package state

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
)

const maxKeyFile = 64 << 10 // bytes

// KeyForm is how the host key's file is written and read. Parse's errors are
// shown to the user as they are.
type KeyForm struct {
	Marshal func(*ecdsa.PrivateKey) ([]byte, error)
	Parse   func([]byte) (*ecdsa.PrivateKey, error)
}

// HasKey reports whether there is a host key: the first audit makes it, before it
// takes a request for an audit.
func (f *Folder) HasKey() bool {
	_, err := os.Lstat(f.path("key", "host.pem"))
	return err == nil
}

// HostKey loads the host's key, and makes it where this host never had one. Call
// it with the lock held. A key that is lost or damaged is an error that says
// what to do, never replaced: the host would be another one.
func (f *Folder) HostKey() (*ecdsa.PrivateKey, error) {
	path, idPath := f.path("key", "host.pem"), f.path("key", "host.id")
	b, err := durable.ReadForeign(path, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		id, err := durable.ReadForeign(idPath, maxKeyFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return f.makeHostKey(path, idPath)
		case err != nil:
			return nil, f.explain(err)
		}
		return nil, fmt.Errorf("host key %s is gone, but this computer had one (host %.27s): restore it from a backup, or move %s and %s away to enroll as a new host", path, id, idPath, f.OutboxDir())
	}
	if err != nil {
		return nil, f.explain(err)
	}
	if f.keyForm.Parse != nil {
		key, err := f.keyForm.Parse(b)
		if err != nil {
			return nil, fmt.Errorf("host key %s: %w", path, err)
		}
		return key, f.keepID(idPath, key)
	}
	key, err := wire.ParseKey(b)
	if err != nil {
		return nil, fmt.Errorf("host key %s is damaged: %w: restore it from a backup, or move it, %s and %s away to enroll as a new host", path, err, idPath, f.OutboxDir())
	}
	return key, f.keepID(idPath, key)
}

// keepID writes down whose key it is, where nobody has: whoever made it may have
// been killed before that, and even before the key was there for good.
func (f *Folder) keepID(path string, key *ecdsa.PrivateKey) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	id, err := wire.HostIDOf(key.Public())
	if err != nil {
		return err
	}
	err = durable.SyncDir(filepath.Dir(path))
	if err == nil {
		err = durable.WriteFile(path, []byte(id), 0o600)
	}
	if err != nil {
		return f.explain(err)
	}
	return nil
}

func (f *Folder) makeHostKey(path, idPath string) (*ecdsa.PrivateKey, error) {
	key, err := wire.NewKey()
	if err != nil {
		return nil, err
	}
	marshal := wire.MarshalKey
	if f.keyForm.Marshal != nil {
		marshal = f.keyForm.Marshal
	}
	b, err := marshal(key)
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(path, b, 0o600); err != nil {
		return nil, f.explain(err)
	}
	return key, f.keepID(idPath, key)
}

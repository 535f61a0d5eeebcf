package state

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
)

const maxKeyFile = 64 << 10 // bytes

// HostKey loads the host's key, and makes it where this host never had one. Call
// it with the lock held. A key that is lost or damaged is an error that says
// what to do, never replaced: the host would be another one.
func (f *Folder) HostKey() (*ecdsa.PrivateKey, error) {
	path, idPath := f.path("key", "host.pem"), f.path("key", "host.id")
	b, err := durable.ReadForeign(path, maxKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		id, err := os.ReadFile(idPath)
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
	key, err := wire.ParseKey(b)
	if err != nil {
		return nil, fmt.Errorf("host key %s is damaged: %w: restore it from a backup, or move it, %s and %s away to enroll as a new host", path, err, idPath, f.OutboxDir())
	}
	return key, nil
}

func (f *Folder) makeHostKey(path, idPath string) (*ecdsa.PrivateKey, error) {
	key, err := wire.NewKey()
	if err != nil {
		return nil, err
	}
	id, err := wire.HostIDOf(key.Public())
	if err != nil {
		return nil, err
	}
	b, err := wire.MarshalKey(key)
	if err != nil {
		return nil, err
	}
	if err := durable.WriteFile(path, b, 0o600); err != nil {
		return nil, f.explain(err)
	}
	if err := durable.WriteFile(idPath, []byte(id), 0o600); err != nil {
		return nil, f.explain(err)
	}
	return key, nil
}

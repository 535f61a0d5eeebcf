package state

import (
	"errors"
	"fmt"
	"os"

	"github.com/passmuster/muster/internal/durable"
)

// Lock keeps a second audit away until unlock is called or the process ends, and
// clears away what a killed one has left half written. Its error wraps ErrLocked
// where someone has it.
func (f *Folder) Lock() (unlock func() error, err error) {
	file, err := os.OpenFile(f.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, f.explain(err)
	}
	if err := lockFile(file); err != nil {
		return nil, fmt.Errorf("state folder %s: %w", f.dir, errors.Join(err, file.Close()))
	}
	// Nobody but the audit writes to these; the outbox sweeps itself.
	err = errors.Join(durable.Sweep(f.dir), durable.Sweep(f.path("key")), durable.Sweep(f.path("policy")), durable.Sweep(f.path("status"), "audit.json"))
	if err != nil {
		return nil, errors.Join(f.explain(err), file.Close())
	}
	return file.Close, nil // the lock goes with the handle
}

package outbox

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
)

const (
	receiptExt = ".receipt"
	maxReceipt = 4 << 10 // bytes
	// maxReceipts of one call: the folder's writer is not trusted with our time.
	maxReceipts = 1 << 11
)

// ApplyReceipts takes the receipts that uplink or courier have left in a
// folder: verifies each with the collector's keys, deletes its report, then the
// receipt. What is not a good receipt for this host deletes nothing and is
// part of the error; where it is a plain file it is removed, since its report
// still waits and will be receipted again. What a newer program wrote stays.
func (o *Outbox) ApplyReceipts(dir string, host muster.HostID, keys []*ecdsa.PublicKey) (applied int, err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return 0, fmt.Errorf("look for receipts: %w", err)
	}
	defer folder.Close()
	names, err := folder.Readdirnames(maxReceipts)
	if err != nil && len(names) == 0 && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("look for receipts: %w", err)
	}
	var problems []error
	for _, name := range names {
		if !strings.HasSuffix(name, receiptExt) || durable.IsTemp(name) {
			continue
		}
		path := filepath.Join(dir, name)
		keep, err := o.applyReceipt(path, host, keys)
		if err != nil {
			problems = append(problems, fmt.Errorf("receipt %s: %w", name, err))
		} else {
			applied++
		}
		if keep {
			continue
		}
		if err := durable.Remove(path); err != nil {
			problems = append(problems, err)
		}
	}
	return applied, errors.Join(problems...)
}

func (o *Outbox) applyReceipt(path string, host muster.HostID, keys []*ecdsa.PublicKey) (keep bool, err error) {
	b, err := durable.ReadForeign(path, maxReceipt)
	if err != nil {
		return true, err
	}
	r, err := wire.VerifyReceipt(b, keys)
	if err != nil {
		return errors.Is(err, wire.ErrFutureSchema), err
	}
	if r.Host != host {
		return false, fmt.Errorf("it is for host %s, and this is %s", r.Host, host)
	}
	err = o.Acknowledge(r)
	return err != nil, err
}

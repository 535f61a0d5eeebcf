package outbox

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
)

const (
	receiptExt = ".receipt"
	maxReceipt = 4 << 10 // bytes
	// The folder's writer is not trusted with our time: so many receipts are
	// taken, names looked at and problems told by one call.
	maxReceipts = 1 << 11
	maxNames    = 1 << 16
	maxProblems = 16
)

// ApplyReceipts takes the receipts that uplink or courier have left in a
// folder: verifies each with the collector's keys, deletes its report, then the
// receipt. What is not a good receipt for this host deletes no report and is
// part of the error; it is removed, since its report still waits and will be
// receipted again. What a newer program wrote, or the disk fails at, stays.
func (o *Outbox) ApplyReceipts(dir string, host muster.HostID, keys []*ecdsa.PublicKey) (applied int, err error) {
	folder, err := os.Open(dir)
	if err != nil {
		return 0, fmt.Errorf("look for receipts: %w", err)
	}
	defer folder.Close()
	names, err := folder.Readdirnames(maxNames)
	if err != nil && len(names) == 0 && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("look for receipts: %w", err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, receiptExt) })
	var problems []error
	for _, name := range names[:min(len(names), maxReceipts)] {
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
	if applied > 0 {
		// The numbers must not hang on base.report alone.
		if err := o.writeChain(o.chain); err != nil {
			problems = append(problems, err)
		}
	}
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems], fmt.Errorf("%d more problems with receipts", more))
	}
	return applied, errors.Join(problems...)
}

func (o *Outbox) applyReceipt(path string, host muster.HostID, keys []*ecdsa.PublicKey) (keep bool, err error) {
	b, err := durable.ReadForeign(path, maxReceipt)
	if err != nil {
		return !errors.Is(err, durable.ErrForeign), err
	}
	return o.take(b, host, keys)
}

// take verifies one receipt and acknowledges its report. keep says that a later
// try may succeed.
func (o *Outbox) take(b []byte, host muster.HostID, keys []*ecdsa.PublicKey) (keep bool, err error) {
	r, err := wire.VerifyReceipt(b, keys)
	if err != nil {
		return errors.Is(err, wire.ErrFutureSchema), err
	}
	if r.Host != host {
		return false, fmt.Errorf("it is for host %s, and this is %s", r.Host, host)
	}
	err = o.Acknowledge(r)
	return err != nil && !errors.Is(err, ErrOtherReport), err
}

package outbox

import (
	"crypto/ecdsa"
	"errors"

	"github.com/passmuster/muster"
)

// Take applies receipts as ApplyReceipts does those of a folder, in the order in
// which they are given. One that is no good receipt for this host deletes nothing
// and is part of the error, the same words once. again says that one should be
// given once more: a newer program wrote it, or the disk failed.
func (o *Outbox) Take(receipts [][]byte, host muster.HostID, keys []*ecdsa.PublicKey) (applied int, again bool, err error) {
	var problems []error
	told := map[string]bool{}
	for _, b := range receipts {
		keep, err := o.take(b, host, keys)
		again = again || keep
		if err == nil {
			applied++
		} else if text := err.Error(); !told[text] && len(problems) < maxProblems {
			told[text] = true
			problems = append(problems, err)
		}
	}
	if applied > 0 {
		// The numbers must not hang on base.report alone.
		if err := o.writeChain(o.chain); err != nil {
			problems = append(problems, err)
		}
	}
	return applied, again, errors.Join(problems...)
}

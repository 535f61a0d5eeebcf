package uplink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/wire"
)

const (
	batchReports = 64
	batchBytes   = 1 << 20
)

// errReceiptKey: nothing is lost, and nothing is carried, until people act.
var errReceiptKey = errors.New("the collector signs its receipts with a key that this host's site file does not name, so they do not count: " +
	"ask your state whether it has a new key, and for the site file that names it")

// parcel is one report of a batch.
type parcel struct {
	seq      uint64
	envelope []byte
	tries    int // 0: against the base; 1: against the sample; 2: against nothing
}

// waiting lists the reports that have neither a receipt nor a final refusal.
func (u *Uplink) waiting() ([]uint64, error) {
	all, err := u.Outbox.List()
	if err != nil {
		return nil, err
	}
	var waiting []uint64
	for _, seq := range all {
		if r, ok := u.refused[seq]; ok && u.Now().Before(r.until) {
			continue
		}
		if _, err := os.Lstat(u.receiptPath(seq)); err != nil {
			waiting = append(waiting, seq)
		}
	}
	u.status.Waiting = len(waiting)
	return waiting, nil
}

func (u *Uplink) receiptPath(seq uint64) string {
	return filepath.Join(u.ReceiptsDir, fmt.Sprintf("%08d.receipt", seq))
}

// ship carries the reports in batches, the oldest first.
func (u *Uplink) ship(ctx context.Context, host muster.HostID, seqs []uint64) error {
	var batch []*parcel
	size := 0
	for i, seq := range seqs {
		envelope, err := u.Outbox.Read(seq)
		switch {
		case errors.Is(err, fs.ErrNotExist): // muster was here
		case err != nil:
			// A disk may fail for a moment; a damaged file muster sets aside.
			u.putOff(seq, wire.CodeMalformed, err.Error(), soonAgain)
		default:
			batch, size = append(batch, &parcel{seq: seq, envelope: envelope}), size+len(envelope)
		}
		// Envelopes count here at full size: their frames are smaller.
		if len(batch) >= u.room || size >= batchBytes || i == len(seqs)-1 {
			if err := u.shipBatch(ctx, host, batch); err != nil {
				// What the line or the collector could not take as one, it may in parts.
				u.room = max(1, len(batch)/2)
				return err
			}
			u.room = min(2*u.room, batchReports)
			batch, size = nil, 0
		}
	}
	return nil
}

// shipBatch sends a batch until every report in it has an outcome: what needs
// another base again, and what is too large for one request in halves.
func (u *Uplink) shipBatch(ctx context.Context, host muster.HostID, batch []*parcel) error {
	for len(batch) > 0 {
		body, err := u.encode(host, batch)
		if err != nil {
			return err
		}
		open := make(map[uint64]*parcel, len(batch))
		for _, p := range batch {
			open[p.seq] = p
		}
		var again []*parcel
		err = u.client.reports(ctx, body, func(o wire.Outcome) error {
			p := open[o.Seq]
			if o.Host != host || p == nil {
				return errors.New("the collector answers for a report that was not sent")
			}
			delete(open, o.Seq)
			if o.Code == wire.CodeNeedBase && p.tries < 2 {
				p.tries++
				again = append(again, p)
				return nil
			}
			return u.take(host, p, o)
		})
		switch {
		case errors.Is(err, errTooLarge) && len(batch) > 1:
			half := len(batch) / 2
			if err := u.shipBatch(ctx, host, batch[:half]); err != nil {
				return err
			}
			batch = batch[half:]
			continue
		case errors.Is(err, errTooLarge):
			u.refuse(batch[0].seq, wire.CodeTooLarge, err.Error())
			return nil
		case err != nil:
			return fmt.Errorf("ship reports %d to %d: %w", batch[0].seq, batch[len(batch)-1].seq, err)
		case len(open) > 0:
			return fmt.Errorf("ship reports %d to %d: the collector left %d of them unanswered", batch[0].seq, batch[len(batch)-1].seq, len(open))
		}
		batch = again
	}
	return nil
}

func (u *Uplink) encode(host muster.HostID, batch []*parcel) ([]byte, error) {
	base := u.base
	if base == nil {
		base = u.Outbox.Base()
	}
	var body bytes.Buffer
	seq := wire.NewSeqWriter(&body)
	for _, p := range batch {
		if p.tries == 0 && base == nil {
			p.tries = 1
		}
		var frame *wire.Frame
		var err error
		switch p.tries {
		case 0:
			frame, err = wire.NewFrame(host, p.seq, p.envelope, base)
		case 1:
			frame, err = wire.NewFrame(host, p.seq, p.envelope, nil)
		default:
			frame, err = wire.NewPlainFrame(host, p.seq, p.envelope)
		}
		if err == nil {
			err = seq.Write(frame)
		}
		if err != nil {
			return nil, fmt.Errorf("pack report %d: %w", p.seq, err)
		}
	}
	return body.Bytes(), nil
}

// take believes an outcome only as far as it is proven: stored means a receipt
// of a trusted key over this very envelope.
func (u *Uplink) take(host muster.HostID, p *parcel, o wire.Outcome) error {
	switch o.Code {
	case wire.CodeStored, wire.CodeDuplicate:
	case wire.CodeUnknownHost:
		u.enrolled = muster.Digest{}
		return errUnknownHost
	default:
		u.refuse(p.seq, o.Code, o.Reason)
		return nil
	}
	r, err := wire.VerifyReceipt(o.Receipt, u.keys)
	if errors.Is(err, wire.ErrBadSignature) {
		return fmt.Errorf("report %d: %w (%w)", p.seq, errReceiptKey, err)
	}
	if err != nil {
		return fmt.Errorf("report %d: the collector's receipt does not count: %w", p.seq, err)
	}
	if r.Host != host || r.Seq != p.seq || r.Digest != wire.EnvelopeDigest(p.envelope) {
		return fmt.Errorf("report %d: the collector's receipt is for another report", p.seq)
	}
	if err := durable.WriteFile(u.receiptPath(p.seq), o.Receipt, 0o640); err != nil {
		return err
	}
	u.base = p.envelope
	// Where one report is stored, the collector may be newer than it was.
	maps.DeleteFunc(u.refused, func(seq uint64, r refusal) bool { return seq == p.seq || r.code == wire.CodeFutureSchema })
	u.status.Receipted++
	u.Logger.Info("report receipted", "seq", p.seq, "code", o.Code)
	return nil
}

func (u *Uplink) refuse(seq uint64, code wire.Code, reason string) {
	wait := refusedFor
	if code == wire.CodePending || code == wire.CodeBusy {
		wait = soonAgain
	}
	u.putOff(seq, code, reason, wait)
}

func (u *Uplink) putOff(seq uint64, code wire.Code, reason string, wait time.Duration) {
	reason = printable(reason)
	u.refused[seq] = refusal{code, reason, u.Now().Add(wait)}
	u.Logger.Warn("report refused", "seq", seq, "code", code, "reason", reason)
}

package courier

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// fileBytes is where a sealed file is closed and the next one begins: it is held
// in memory, and seal.MaxFile bounds what anyone reads.
const fileBytes = 8 << 20

// Outbox is what waits. See agent/outbox.Reader, which it is made after.
type Outbox interface {
	List() ([]uint64, error)
	Read(seq uint64) (envelope []byte, err error)
}

// Host is whose reports are sealed.
type Host struct {
	ID muster.HostID
	// Enrollment is its signed statement about itself.
	Enrollment []byte
	// Policy is the digest of what it judges by.
	Policy string
	Outbox Outbox
	// To is the collector.
	To *seal.Recipient
	// Plain compresses against nothing, for a collector that said that it lacks
	// this program's sample.
	Plain bool
	Now   func() time.Time
	// LeftOut hears of a report that cannot be read; the others are sealed.
	LeftOut func(seq uint64, err error)
	// Progress hears how many reports are sealed; nil means that nobody watches.
	Progress func(done, total int)
}

// Seal writes the waiting reports that no file in have holds, the oldest first, and
// gives the new files.
func (s *Stick) Seal(h Host, have []File) (made []File, err error) {
	seqs, err := h.Outbox.List()
	if err != nil {
		return nil, err
	}
	waiting := seqs[:0]
	for _, seq := range seqs {
		covered := false
		for i := range have {
			covered = covered || have[i].Host == h.ID && have[i].Covers(seq)
		}
		if !covered {
			waiting = append(waiting, seq)
		}
	}
	log, _, err := s.Log()
	if err != nil {
		return nil, err
	}
	total := len(waiting)
	for len(waiting) > 0 {
		if h.Progress != nil {
			h.Progress(total-len(waiting), total)
		}
		content, head, rest, err := Pack(h, waiting, of(log, h.ID))
		if err != nil || content == nil {
			return made, err
		}
		f := newFile(h.ID, head.From, head.To, content)
		if err := s.disk.WriteFile(s.path(outgoing, f.Name+sealedExt), content, fileMode); err != nil {
			return made, fmt.Errorf("stick: %w", err)
		}
		f.WrittenAt = head.WrittenAt
		made, waiting = append(made, f), rest
		if err := s.Note(f.Step(muster.CustodyWrote, string(h.ID), head.WrittenAt)); err != nil {
			return made, err
		}
	}
	return made, nil
}

// Pack seals the first of the waiting reports, as many as one file holds. The
// content is nil where none of them waits any more.
func Pack(h Host, waiting []uint64, custody []muster.CustodyEvent) (content []byte, head seal.Head, rest []uint64, err error) {
	var frames []*wire.Frame
	size := 0
	rest = waiting
	for len(rest) > 0 && size < fileBytes && len(frames) < seal.MaxReports {
		seq := rest[0]
		envelope, err := h.Outbox.Read(seq)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			rest = rest[1:]
			continue
		case err != nil:
			h.LeftOut(seq, err)
			rest = rest[1:]
			continue
		}
		compress := wire.NewFrame
		if h.Plain {
			compress = func(host muster.HostID, seq uint64, envelope, _ []byte) (*wire.Frame, error) {
				return wire.NewPlainFrame(host, seq, envelope)
			}
		}
		f, err := compress(h.ID, seq, envelope, nil)
		if err != nil {
			return nil, head, rest, err
		}
		frames, size, rest = append(frames, f), size+len(f.Body), rest[1:]
	}
	if len(frames) == 0 {
		return nil, head, rest, nil
	}
	head = seal.Head{Host: h.ID, WrittenAt: h.Now().UTC().Truncate(time.Second), Enrollment: h.Enrollment, Custody: custody,
		PolicyDigest: h.Policy, From: frames[0].Seq, To: frames[len(frames)-1].Seq}
	var b bytes.Buffer
	err = seal.Write(&b, h.To, head, frames)
	return b.Bytes(), head, rest, err
}

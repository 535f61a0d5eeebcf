// Package seal is the form of what travels on removable media: a sealed file of
// reports from a host to the state, and a return file back.
//
// A sealed file is an age file (age-encryption.org/v1, X25519) to the collector
// of the state: nobody on its way can read it. Inside is a CBOR sequence: a
// Head, the reports as wire.Frames against the shipped sample, and an end item,
// so that a file that was cut off is told from a whole one. age proves nothing
// about who wrote it: each report in it proves itself by its own signature.
//
// A return file is a CBOR sequence in the open, since nothing in it is secret: a
// ReturnHead, one wire.Outcome a report with its signed receipt, a policy bundle
// where the host should have another, and an end item. Receipts and bundle prove
// themselves; the rest is for people.
//
// Compatibility: fields are added, never renamed, and unknown ones are ignored.
// A change that an old reader would misread raises Schema.
package seal

import (
	"errors"
	"fmt"
	"io"
	"time"

	"filippo.io/age"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// Schema is the number of both forms that this code writes.
const Schema = 1

// Bounds in bytes and items. FAT32 would take files of up to 4 GiB.
const (
	// MaxFile bounds a sealed file, read or written.
	MaxFile = 32 << 20
	// MaxReports bounds the reports of one sealed file.
	MaxReports = 4096
	// MaxCustody bounds the steps that a head carries.
	MaxCustody = 256
	// maxPlain bounds what is inside: age adds, it does not compress.
	maxPlain = MaxFile
)

// Errors that readers branch on, besides those of internal/wire.
var (
	// ErrCut: the file ends early or was changed on its way. What was read before
	// counts; have the rest sent again.
	ErrCut = errors.New("the file is cut off or damaged")
	// ErrOtherKey: it is sealed to another collector. Send it to its own.
	ErrOtherKey = errors.New("the file is sealed to another collector")
)

// Head begins a sealed file. Its author is not proven.
type Head struct {
	Schema int           `cbor:"1,keyasint"`
	Host   muster.HostID `cbor:"2,keyasint"`
	// WrittenAt by the host's clock, whole seconds.
	WrittenAt time.Time `cbor:"3,keyasint"`
	// Enrollment is the host's signed statement about itself.
	Enrollment []byte `cbor:"4,keyasint"`
	// Custody of this host's files so far, as the host and the stick know it.
	Custody []muster.CustodyEvent `cbor:"5,keyasint,omitempty"`
	// Reports in the file, numbered From to To, not always without holes.
	Reports int    `cbor:"6,keyasint"`
	From    uint64 `cbor:"7,keyasint"`
	To      uint64 `cbor:"8,keyasint"`
	// PolicyDigest is what the host judges by, so that it gets another where it
	// should have one.
	PolicyDigest string `cbor:"9,keyasint,omitempty"`
}

// end is the last item of both forms.
type end struct {
	Items int `cbor:"1,keyasint"`
}

// Write seals reports of one host to a collector. It fills in what the head says
// of them. The frames are in the order of their numbers.
func Write(w io.Writer, to *Recipient, h Head, frames []*wire.Frame) error {
	if len(frames) == 0 || len(frames) > MaxReports {
		return fmt.Errorf("seal %d reports: want 1 to %d", len(frames), MaxReports)
	}
	h.Schema, h.Reports = Schema, len(frames)
	h.From, h.To = frames[0].Seq, frames[len(frames)-1].Seq
	h.WrittenAt, h.Custody = utc(h.WrittenAt), recent(h.Custody)
	fail := func(err error) error { return fmt.Errorf("seal reports %d to %d: %w", h.From, h.To, err) }
	sealed, err := age.Encrypt(w, to)
	if err != nil {
		return fail(err)
	}
	seq := wire.NewSeqWriter(sealed)
	err = seq.Write(h)
	for _, f := range frames {
		if err == nil {
			err = seq.Write(f)
		}
	}
	if err == nil {
		err = seq.Write(end{len(frames)})
	}
	if err == nil {
		err = sealed.Close()
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// Reader reads a sealed file as it comes.
type Reader struct {
	Head Head
	seq  *wire.SeqReader
	left int
}

// Open unseals with whichever of the keys fits and reads the head. Its error
// wraps ErrOtherKey, ErrCut, wire.ErrMalformed (it never was a sealed file),
// wire.ErrTooLarge, wire.ErrFutureSchema, or the error of r.
func Open(r io.Reader, keys Keys) (*Reader, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("open the sealed file: %w", ErrOtherKey)
	}
	src := &source{r: r}
	plain, err := age.Decrypt(src, keys.identities()...)
	var other *age.NoIdentityMatchError
	switch {
	case errors.As(err, &other):
		return nil, fmt.Errorf("open the sealed file: %w", ErrOtherKey)
	case src.err != nil:
		return nil, fmt.Errorf("read the sealed file: %w", src.err)
	case err != nil:
		return nil, fmt.Errorf("open the sealed file: %w: %w", ErrCut, err)
	}
	s := &Reader{left: -1}
	if s.seq, err = wire.NewSeqReader(&source{r: plain, under: src}, wire.MaxFrame, maxPlain); err != nil {
		return nil, err
	}
	if err := s.read(&s.Head); err != nil {
		return nil, err
	}
	h := &s.Head
	switch {
	case h.Schema > Schema:
		return nil, fmt.Errorf("open the sealed file: %w", wire.ErrFutureSchema)
	case h.Schema < 1 || h.Reports < 1 || h.Reports > MaxReports || len(h.Custody) > MaxCustody || h.From < 1 || h.From > h.To:
		return nil, fmt.Errorf("open the sealed file: %w: its head is not one", wire.ErrMalformed)
	}
	if _, err := muster.ParseHostID(string(h.Host)); err != nil {
		return nil, fmt.Errorf("open the sealed file: %w: %w", wire.ErrMalformed, err)
	}
	h.WrittenAt = h.WrittenAt.UTC()
	inUTC(h.Custody)
	s.left = h.Reports
	return s, nil
}

// Read gives the next report. Its error is io.EOF after the last of a whole
// file, or one of those of Open.
func (s *Reader) Read(f *wire.Frame) error {
	if s.left > 0 {
		s.left--
		*f = wire.Frame{}
		return s.read(f)
	}
	var e end
	if err := s.read(&e); err != nil {
		return err
	}
	if e.Items != s.Head.Reports {
		return fmt.Errorf("read the sealed file: %w: it ends after %d reports", wire.ErrMalformed, e.Items)
	}
	return io.EOF
}

// read tells an item that did not come from one that is wrong.
func (s *Reader) read(v any) error { return item(s.seq, v, "sealed file") }

func item(seq *wire.SeqReader, v any, what string) error {
	err := seq.Read(v)
	switch {
	case err == nil:
		return nil
	case err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF):
		err = ErrCut
	}
	return fmt.Errorf("read the %s: %w", what, err)
}

// source remembers the error of what it reads from: age's own words on a bad
// chunk become ErrCut, those of the disk or the network stay.
type source struct {
	r     io.Reader
	under *source
	read  int64
	err   error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.read += int64(n)
	switch {
	case err == nil || err == io.EOF:
	case s.under != nil && s.under.err == nil:
		err = fmt.Errorf("%w: %w", ErrCut, err)
	case s.under != nil:
		err = s.under.err
	case err != io.ErrUnexpectedEOF:
		s.err = err
	}
	if s.under == nil && s.read > MaxFile {
		n, s.err = 0, wire.ErrTooLarge
		err = s.err
	}
	return n, err
}

func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

func inUTC(events []muster.CustodyEvent) {
	for i := range events {
		events[i].At = events[i].At.UTC()
	}
}

// recent keeps the newest steps, which are the last.
func recent(events []muster.CustodyEvent) []muster.CustodyEvent {
	return events[max(0, len(events)-MaxCustody):]
}

package wire

import (
	"errors"
	"fmt"
	"io"

	"github.com/fxamacker/cbor/v2"
)

// SeqWriter writes a CBOR sequence, one value after the other.
type SeqWriter struct{ w io.Writer }

// NewSeqWriter writes to w, which should be buffered.
func NewSeqWriter(w io.Writer) *SeqWriter { return &SeqWriter{w} }

// Write appends one value.
func (s *SeqWriter) Write(v any) error {
	b, err := Marshal(v)
	if err != nil {
		return fmt.Errorf("encode an item: %w", err)
	}
	_, err = s.w.Write(b)
	return err
}

// SeqReader reads a CBOR sequence of foreign making, with bounds on each item
// and on all of them.
type SeqReader struct {
	dec *cbor.Decoder
	src *boundedReader
}

// NewSeqReader reads from r: at most maxItem bytes an item (and what the reader
// holds ahead, at most as much again) and maxTotal in all. A reader that has
// failed stays failed.
func NewSeqReader(r io.Reader, maxItem, maxTotal int) (*SeqReader, error) {
	m, err := decMode()
	if err != nil {
		return nil, err
	}
	s := &SeqReader{src: &boundedReader{r: r, maxAhead: maxItem, left: maxTotal}}
	s.dec = m.NewDecoder(s.src)
	return s, nil
}

// Read reads the next item into v. Its error is io.EOF after the last item, or
// wraps ErrTooLarge, ErrMalformed or the error of the underlying reader.
func (s *SeqReader) Read(v any) error {
	before := s.dec.NumBytesRead()
	s.src.consumed = before
	err := s.dec.Decode(v)
	switch {
	case err == nil && s.dec.NumBytesRead()-before > s.src.maxAhead:
		err = ErrTooLarge
	case err == nil, err == io.EOF, s.src.err != nil && errors.Is(err, s.src.err):
		return err
	default:
		err = fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return err
}

// boundedReader stops a decoder that would buffer without end.
type boundedReader struct {
	r        io.Reader
	left     int // of all
	maxAhead int // read and not yet consumed
	total    int
	consumed int
	err      error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	// One byte more than allowed is asked for, to tell an end from an excess.
	room := min(b.left, b.maxAhead-(b.total-b.consumed))
	if room < 0 {
		room = 0
	}
	n, err := b.r.Read(p[:min(len(p), room+1)])
	b.total, b.left = b.total+n, b.left-n
	if n > room {
		n, err = 0, ErrTooLarge
	}
	if err != nil && err != io.EOF {
		b.err = fmt.Errorf("read the batch: %w", err)
		err = b.err
	}
	return n, err
}

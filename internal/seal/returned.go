package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

const (
	// MaxPolicy bounds the bundle in a return file.
	MaxPolicy = 32 << 20
	// MaxReturn bounds a return file.
	MaxReturn = MaxPolicy + 8<<20
	// maxProblem bounds what a return file says went wrong, in bytes.
	maxProblem = 512
)

// ReturnHead begins a return file.
type ReturnHead struct {
	Schema int `cbor:"1,keyasint" json:"-"`
	// Host whose reports they are; "" where the sealed file could not be opened.
	Host muster.HostID `cbor:"2,keyasint" json:"host,omitempty"`
	// Collector is the name of who answers, and ReceivedAt its clock.
	Collector  string    `cbor:"3,keyasint" json:"collector"`
	ReceivedAt time.Time `cbor:"4,keyasint" json:"received_at"`
	// File is the SHA-256 of the sealed file as it came, its first 16 hex digits.
	File string `cbor:"5,keyasint" json:"file"`
	// Custody of this file: who wrote, relayed and received it.
	Custody []muster.CustodyEvent `cbor:"6,keyasint,omitempty" json:"custody,omitempty"`
	// State says whether the collector believes the host.
	State muster.HostState `cbor:"7,keyasint,omitempty" json:"state,omitempty"`
	// Problem says what was wrong with the whole file, by a stable code and for
	// people; "" where nothing was. ProblemCut: what is whole was taken.
	Problem wire.Code `cbor:"8,keyasint,omitempty" json:"problem,omitempty"`
	Reason  string    `cbor:"9,keyasint,omitempty" json:"reason,omitempty"`
	// Reports that the sealed file was to hold, and Outcomes that follow.
	Reports  int `cbor:"10,keyasint,omitempty" json:"reports"`
	Outcomes int `cbor:"11,keyasint,omitempty" json:"-"`
	// Policy tells whether a bundle follows the outcomes.
	Policy bool `cbor:"12,keyasint,omitempty" json:"policy"`
}

// Problems of a whole file, besides the codes of internal/wire.
const (
	// ProblemCut: what is whole is answered; seal the rest again.
	ProblemCut wire.Code = "cut_off"
	// ProblemOtherKey: seal again with the key of the site file.
	ProblemOtherKey wire.Code = "other_collector"
)

// Return is a return file.
type Return struct {
	ReturnHead
	Outcomes []wire.Outcome
	// Bundle is a policy that the host should have, or nil. Nothing about it is
	// verified.
	Bundle []byte
}

// Receipts are the signed ones among the outcomes.
func (r *Return) Receipts() (list [][]byte) {
	for i := range r.Outcomes {
		if b := r.Outcomes[i].Receipt; b != nil {
			list = append(list, b)
		}
	}
	return list
}

// Whole reports whether every report of the sealed file has an outcome here.
func (r *Return) Whole() bool { return r.Problem == "" && len(r.Outcomes) >= r.Reports }

// WriteReturn writes a return file.
func WriteReturn(w io.Writer, r *Return) error {
	h := r.ReturnHead
	h.Schema, h.ReceivedAt, h.Custody = Schema, utc(h.ReceivedAt), recent(h.Custody)
	h.Outcomes, h.Policy = len(r.Outcomes), r.Bundle != nil
	h.Reason = strings.ToValidUTF8(h.Reason[:min(len(h.Reason), maxProblem)], "")
	seq := wire.NewSeqWriter(w)
	err := seq.Write(h)
	for i := range r.Outcomes {
		if err == nil {
			err = seq.Write(&r.Outcomes[i])
		}
	}
	if err == nil && h.Policy {
		err = seq.Write(r.Bundle)
	}
	if err == nil {
		err = seq.Write(end{h.Outcomes})
	}
	if err != nil {
		return fmt.Errorf("write the return file: %w", err)
	}
	return nil
}

// ReadReturn reads a return file. With ErrCut it gives what is whole too: each
// receipt proves itself. Without a whole head there is nothing, and the error
// wraps ErrCut, wire.ErrMalformed, wire.ErrTooLarge or wire.ErrFutureSchema.
func ReadReturn(b []byte) (*Return, error) {
	if len(b) > MaxReturn {
		return nil, fmt.Errorf("read the return file: %w", wire.ErrTooLarge)
	}
	seq, err := wire.NewSeqReader(bytes.NewReader(b), MaxPolicy+1<<10, MaxReturn)
	if err != nil {
		return nil, err
	}
	r := &Return{}
	if err := item(seq, &r.ReturnHead, "return file"); err != nil {
		return nil, err
	}
	h := &r.ReturnHead
	switch {
	case h.Schema > Schema:
		return nil, fmt.Errorf("read the return file: %w", wire.ErrFutureSchema)
	case h.Schema < 1 || h.Outcomes < 0 || h.Outcomes > MaxReports || len(h.Custody) > MaxCustody || h.Collector == "" && h.File == "":
		return nil, fmt.Errorf("read the return file: %w: its head is not one", wire.ErrMalformed)
	}
	h.ReceivedAt = h.ReceivedAt.UTC()
	inUTC(h.Custody)
	for range h.Outcomes {
		var o wire.Outcome
		if err := item(seq, &o, "return file"); err != nil {
			return r, err
		}
		r.Outcomes = append(r.Outcomes, o)
	}
	if h.Policy {
		if err := item(seq, &r.Bundle, "return file"); err != nil {
			r.Bundle = nil
			return r, err
		}
	}
	var e end
	if err := item(seq, &e, "return file"); err != nil {
		return r, err
	}
	if e.Items != h.Outcomes {
		return r, fmt.Errorf("read the return file: %w: it ends after %d outcomes", wire.ErrMalformed, e.Items)
	}
	if err := seq.Read(&e); err != io.EOF {
		return r, fmt.Errorf("read the return file: %w: %w", wire.ErrMalformed, errors.New("something follows its end"))
	}
	return r, nil
}

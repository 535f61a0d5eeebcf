package wire

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/passmuster/muster"
)

const (
	maxControlID = 64  // bytes
	maxHostname  = 255 // bytes
	evidenceSize = 8   // bytes of a verdict's evidence digest
)

// content is what a report's envelope signs.
type content struct {
	Header   muster.Header    `cbor:"1,keyasint"`
	Verdicts []muster.Verdict `cbor:"2,keyasint"`
	Detail   opaque           `cbor:"3,keyasint"`
}

// opaque is a byte string that stays where it was read: it is most of a report.
type opaque []byte

// UnmarshalCBOR is for cbor.
func (o *opaque) UnmarshalCBOR(b []byte) error {
	s, rest, ok := cutBytes(b)
	if !ok || len(rest) != 0 {
		return errors.New("the detail is not a byte string of shortest length")
	}
	*o = s
	return nil
}

// Opened is a report whose header and verdicts were read and whose detail was
// left alone.
type Opened struct {
	Header   muster.Header
	Verdicts []muster.Verdict // in the order of control ids, each once
	detail   []byte
}

// EncodeReport writes the content of a report. It puts the verdicts in order
// and fills their evidence digests from the detail; the report that was given
// stays as it is. Times are cut to whole seconds.
func EncodeReport(r *muster.Report) ([]byte, error) {
	c := content{Header: r.Header, Verdicts: slices.Clone(r.Verdicts)}
	for i := range c.Verdicts {
		v := &c.Verdicts[i]
		v.Evidence = nil
		if e, ok := r.Detail.Evidence[v.Control]; ok {
			b, err := Marshal(e)
			if err != nil {
				return nil, fmt.Errorf("encode the evidence of %s: %w", v.Control, err)
			}
			sum := sha256.Sum256(b)
			v.Evidence = sum[:evidenceSize]
		}
	}
	slices.SortFunc(c.Verdicts, func(a, b muster.Verdict) int { return cmp.Compare(a.Control, b.Control) })
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("encode report %d: %w", r.Header.Seq, err)
	}
	var err error
	if c.Detail, err = Marshal(r.Detail); err != nil {
		return nil, fmt.Errorf("encode the detail of report %d: %w", r.Header.Seq, err)
	}
	b, err := Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode report %d: %w", r.Header.Seq, err)
	}
	return b, nil
}

// DecodeReport reads the content of a report without its detail. Its error
// wraps ErrTooLarge, ErrFutureSchema or ErrMalformed.
func DecodeReport(b []byte) (*Opened, error) {
	if len(b) > MaxEnvelope {
		return nil, fmt.Errorf("report of %d bytes: %w", len(b), ErrTooLarge)
	}
	var c content
	if err := Unmarshal(b, &c); err != nil {
		if s := schemaOf(b); s > muster.ReportSchema {
			return nil, fmt.Errorf("report of schema %d: %w", s, ErrFutureSchema)
		}
		return nil, fmt.Errorf("report: %w", err)
	}
	if s := c.Header.Schema; s > muster.ReportSchema {
		return nil, fmt.Errorf("report of schema %d: %w", s, ErrFutureSchema)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("report: %w: %w", ErrMalformed, err)
	}
	c.Header.CollectedAt = c.Header.CollectedAt.UTC()
	return &Opened{Header: c.Header, Verdicts: c.Verdicts, detail: c.Detail}, nil
}

// schemaOf finds the schema number of a report that otherwise cannot be read; 0
// where there is none.
func schemaOf(b []byte) int {
	var c struct {
		Header struct {
			Schema int `cbor:"1,keyasint"`
		} `cbor:"1,keyasint"`
	}
	if Unmarshal(b, &c) != nil {
		return 0
	}
	return c.Header.Schema
}

func (c *content) check() error {
	h := &c.Header
	if h.Schema < 1 || h.Schema > muster.ReportSchema { // older ones are read for ever
		return fmt.Errorf("schema %d is not known", h.Schema)
	}
	if _, err := muster.ParseHostID(string(h.Host)); err != nil {
		return err
	}
	if h.Seq == 0 {
		return errors.New("reports are numbered from 1")
	}
	if len(h.Hostname) > maxHostname {
		return errors.New("the hostname is too long")
	}
	for _, g := range h.Gap {
		if g.From == 0 || g.From > g.To || g.To >= h.Seq {
			return errors.New("a gap is not a run of earlier numbers")
		}
	}
	last := ""
	for i := range c.Verdicts {
		v := &c.Verdicts[i]
		switch {
		case v.Control <= last:
			return errors.New("the verdicts are not in the order of control ids, each once")
		case len(v.Control) > maxControlID:
			return errors.New("a control id is too long")
		case v.Status > muster.StatusNotApplicable:
			return fmt.Errorf("%s has a status that is not known", v.Control)
		case len(v.Evidence) != 0 && len(v.Evidence) != evidenceSize:
			return fmt.Errorf("%s has an evidence digest of the wrong size", v.Control)
		}
		last = v.Control
	}
	return nil
}

// Detail reads the part that DecodeReport left alone.
func (o *Opened) Detail() (muster.Detail, error) {
	var d muster.Detail
	if err := Unmarshal(o.detail, &d); err != nil {
		return muster.Detail{}, fmt.Errorf("the detail of report %d: %w", o.Header.Seq, err)
	}
	for i := range d.Signals {
		d.Signals[i].At = d.Signals[i].At.UTC()
	}
	return d, nil
}

// Report reads the whole report.
func (o *Opened) Report() (*muster.Report, error) {
	d, err := o.Detail()
	if err != nil {
		return nil, err
	}
	return &muster.Report{Header: o.Header, Verdicts: o.Verdicts, Detail: d}, nil
}

// ChangeDigest is equal for two reports between which nothing happened that
// anyone must see: the same statuses, waivers, subjects of violations, signals
// and policy. Values that breathe, such as a free space in a note, do not count.
func ChangeDigest(r *muster.Report) (muster.Digest, error) {
	type line struct {
		_        struct{} `cbor:",toarray"`
		Control  string
		Status   muster.Status
		Waiver   string
		Subjects []string
	}
	lines := make([]line, 0, len(r.Verdicts))
	for _, v := range r.Verdicts {
		l := line{Control: v.Control, Status: v.Status, Waiver: v.Waiver}
		for _, bad := range r.Detail.Evidence[v.Control].Violations {
			l.Subjects = append(l.Subjects, bad.Subject)
		}
		slices.Sort(l.Subjects)
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b line) int { return cmp.Compare(a.Control, b.Control) })
	b, err := Marshal(struct {
		_       struct{} `cbor:",toarray"`
		Policy  string
		Lines   []line
		Signals []muster.Signal
	}{Policy: r.Header.PolicyDigest, Lines: lines, Signals: r.Detail.Signals})
	if err != nil {
		return muster.Digest{}, fmt.Errorf("digest report %d for change: %w", r.Header.Seq, err)
	}
	return sha256.Sum256(b), nil
}

// utc cuts a time to what the wire carries: whole seconds, UTC.
func utc(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

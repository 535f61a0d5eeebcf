// Package wire is the one place for encoding, compression, signatures and
// version skew between a host and its collector.
//
// A report's content is deterministic CBOR (RFC 8949 section 4.2): a map of 1:
// header, 2: verdicts in the order of their control ids, 3: the detail as an
// opaque byte string. Content, receipts and enrollments travel in an envelope,
// a COSE_Sign1 (RFC 9052, ES256), whose protected header binds what kind of
// thing it signs. An envelope on its way is a Frame: zstd against a base that
// the frame names by digest.
//
// Compatibility: fields are added, never renamed or given another meaning, and
// unknown fields are ignored. A change that an old reader would misread raises
// muster.ReportSchema, and old readers answer ErrFutureSchema. Every sample
// that was released stays embedded.
package wire

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/passmuster/muster"
)

// Bounds in bytes. A collector may set lower ones.
const (
	// MaxEnvelope bounds one envelope before compression.
	MaxEnvelope = 1 << 20
	// MaxFrame bounds one encoded frame: an envelope that did not compress.
	MaxFrame = MaxEnvelope + 1<<10
	// MaxBatch bounds the body of one batch.
	MaxBatch = 8 << 20
)

// Errors that readers of foreign bytes branch on.
var (
	// ErrMalformed: the bytes are not what they claim to be. Final.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge: a bound was passed; nothing of that size was allocated. Final.
	ErrTooLarge = errors.New("too large")
	// ErrFutureSchema: a newer program wrote it; update this one.
	ErrFutureSchema = errors.New("written by a newer version")
	// ErrNeedBase: the base of the frame is not here; ask for it against the sample.
	ErrNeedBase = errors.New("the base of the frame is not known here")
	// ErrBadSignature: no key given made this signature. Final.
	ErrBadSignature = errors.New("bad signature")
)

var encMode = sync.OnceValues(cbor.EncOptions{
	Sort:          cbor.SortCoreDeterministic,
	ShortestFloat: cbor.ShortestFloat16,
	NaNConvert:    cbor.NaNConvert7e00,
	InfConvert:    cbor.InfConvertFloat16,
	IndefLength:   cbor.IndefLengthForbidden,
	TagsMd:        cbor.TagsForbidden,
	Time:          cbor.TimeUnix,
	NilContainers: cbor.NilContainerAsEmpty,
}.EncMode)

var decMode = sync.OnceValues(cbor.DecOptions{
	DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	IndefLength:      cbor.IndefLengthForbidden,
	TagsMd:           cbor.TagsForbidden,
	MaxNestedLevels:  8,
	MaxArrayElements: 1 << 15,
	MaxMapPairs:      1 << 12,
}.DecMode)

// Marshal writes a value of this protocol as deterministic CBOR.
func Marshal(v any) ([]byte, error) {
	m, err := encMode()
	if err != nil {
		return nil, err
	}
	return m.Marshal(v)
}

// Unmarshal reads one value of this protocol, such as a CheckinAnswer. Its
// error wraps ErrMalformed.
func Unmarshal(b []byte, v any) error {
	m, err := decMode()
	if err != nil {
		return err
	}
	if err := m.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

// EnvelopeDigest names an envelope in chains, receipts and frames.
func EnvelopeDigest(envelope []byte) muster.Digest { return sha256.Sum256(envelope) }

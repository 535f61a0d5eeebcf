package outbox

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// A report's file is three parts, so that people and rescue tools can read it:
//
//	muster-report 1 <SHA-256 of all that follows, hex>
//	<the entry as one line of JSON>
//	<the envelope, one zstd frame against the sample that the entry names>
//
// On media that can be lost the last part is sealed, see Options.Seal.

const (
	fileMagic   = "muster-report 1 "
	firstLine   = len(fileMagic) + 2*sha256.Size + 1
	reportExt   = ".report"
	corruptExt  = ".corrupt"
	baseName    = "base" + reportExt
	maxFileSize = wire.MaxFrame + 64<<10
)

// ErrCorrupt: a file of the outbox is not what was written.
var ErrCorrupt = errors.New("the file is damaged")

// ErrSealed: the file is whole, and sealed under a key that this reader lacks.
var ErrSealed = errors.New("the report is sealed: only its own computer, with the key, and the state can read it")

// entry is what a file says about the report in it.
type entry struct {
	Host   muster.HostID `json:"host"`
	Seq    uint64        `json:"seq"`
	Digest muster.Digest `json:"digest"` // of the envelope
	// Change as wire.ChangeDigest gives it.
	Change muster.Digest `json:"change"`
	// Gap that the report declares.
	Gap  []muster.SeqRange `json:"gap,omitempty"`
	Base muster.Digest     `json:"base"` // of the sample
	Size uint32            `json:"size_bytes"`
	// Sealed: the frame is encrypted.
	Sealed bool `json:"sealed,omitempty"`
}

func reportName(seq uint64) string { return fmt.Sprintf("%08d%s", seq, reportExt) }

// parseName is the inverse of reportName, also for a file set aside.
func parseName(name string) (seq uint64, corrupt, ok bool) {
	name, corrupt = strings.CutSuffix(name, corruptExt)
	digits, ok := strings.CutSuffix(name, reportExt)
	if !ok {
		return 0, false, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, corrupt, err == nil && seq > 0 && reportName(seq) == name
}

// sealed names the report that a sealed frame belongs to.
func (e entry) sealed() []byte { return fmt.Appendf(nil, "muster report %s %d", e.Host, e.Seq) }

// encodeFile makes the file of one report, sealed unless seal is nil.
func encodeFile(e entry, envelope []byte, seal cipher.AEAD) ([]byte, error) {
	frame, err := wire.NewFrame(e.Host, e.Seq, envelope, nil)
	if err != nil {
		return nil, err
	}
	e.Digest, e.Base, e.Size = wire.EnvelopeDigest(envelope), frame.Base, frame.Size
	if e.Sealed = seal != nil; e.Sealed {
		frame.Body = seal.Seal(nil, nil, frame.Body, e.sealed())
	}
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode the entry of report %d: %w", e.Seq, err)
	}
	rest := append(append(line, '\n'), frame.Body...)
	sum := sha256.Sum256(rest)
	return append([]byte(fileMagic+hex.EncodeToString(sum[:])+"\n"), rest...), nil
}

// checkFile checks the digest of a file and gives what it covers. Its errors wrap
// ErrCorrupt.
func checkFile(b []byte) (rest []byte, err error) {
	if len(b) < firstLine || string(b[:len(fileMagic)]) != fileMagic {
		return nil, fmt.Errorf("%w: it is no report file", ErrCorrupt)
	}
	rest = b[firstLine:]
	if sum := sha256.Sum256(rest); string(b[len(fileMagic):firstLine]) != hex.EncodeToString(sum[:])+"\n" {
		return nil, fmt.Errorf("%w: its digest does not match", ErrCorrupt)
	}
	return rest, nil
}

// decodeFile checks every byte. Its errors wrap ErrCorrupt or ErrSealed.
func decodeFile(b []byte, seal cipher.AEAD) (entry, []byte, error) {
	fail := func(err error) (entry, []byte, error) { return entry{}, nil, fmt.Errorf("%w: %w", ErrCorrupt, err) }
	rest, err := checkFile(b)
	if err != nil {
		return entry{}, nil, err
	}
	e, body, err := decodeEntry(rest)
	if err != nil {
		return fail(err)
	}
	if e.Sealed {
		if seal == nil {
			return entry{}, nil, ErrSealed
		}
		// The digest is that of the whole file, so it is the key that is another one.
		if body, err = seal.Open(nil, nil, body, e.sealed()); err != nil {
			return entry{}, nil, ErrSealed
		}
	}
	frame := &wire.Frame{Host: e.Host, Seq: e.Seq, Base: e.Base, Size: e.Size, Body: body}
	envelope, err := wire.OpenFrame(frame, nil, 0)
	if err != nil {
		return fail(err)
	}
	if wire.EnvelopeDigest(envelope) != e.Digest {
		return fail(errors.New("the envelope's digest does not match"))
	}
	return e, envelope, nil
}

// decodeEntry reads the second line.
func decodeEntry(rest []byte) (e entry, body []byte, err error) {
	line, body, ok := bytes.Cut(rest, []byte("\n"))
	if !ok {
		return entry{}, nil, errors.New("its entry is cut off")
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return entry{}, nil, fmt.Errorf("its entry: %w", err)
	}
	return e, body, nil
}

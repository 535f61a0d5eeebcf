package outbox

import (
	"bytes"
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

// encodeFile makes the file of one report.
func encodeFile(e entry, envelope []byte) ([]byte, error) {
	frame, err := wire.NewFrame(e.Host, e.Seq, envelope, nil)
	if err != nil {
		return nil, err
	}
	e.Digest, e.Base, e.Size = wire.EnvelopeDigest(envelope), frame.Base, frame.Size
	line, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode the entry of report %d: %w", e.Seq, err)
	}
	rest := append(append(line, '\n'), frame.Body...)
	sum := sha256.Sum256(rest)
	return append([]byte(fileMagic+hex.EncodeToString(sum[:])+"\n"), rest...), nil
}

// decodeFile checks every byte. Its errors wrap ErrCorrupt.
func decodeFile(b []byte) (entry, []byte, error) {
	fail := func(err error) (entry, []byte, error) { return entry{}, nil, fmt.Errorf("%w: %w", ErrCorrupt, err) }
	if len(b) < firstLine || string(b[:len(fileMagic)]) != fileMagic {
		return fail(errors.New("it is no report file"))
	}
	rest := b[firstLine:]
	if sum := sha256.Sum256(rest); string(b[len(fileMagic):firstLine]) != hex.EncodeToString(sum[:])+"\n" {
		return fail(errors.New("its digest does not match"))
	}
	e, body, err := decodeEntry(rest)
	if err != nil {
		return fail(err)
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

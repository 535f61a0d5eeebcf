package wire

import (
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/passmuster/muster"
)

// dictID marks a zstd frame that needs a base. Which one, Frame.Base says.
const dictID = 1

// NewFrame compresses an envelope against base, an envelope of the same host
// that the collector has receipted; nil means the newest sample.
func NewFrame(host muster.HostID, seq uint64, envelope, base []byte) (*Frame, error) {
	digest := muster.Digest{}
	if base == nil {
		s, err := samples()
		if err != nil {
			return nil, err
		}
		base, digest = s.newest, s.digest
	} else {
		digest = EnvelopeDigest(base)
	}
	return newFrame(host, seq, envelope, base, digest)
}

// NewPlainFrame compresses an envelope against nothing, for a collector that
// does not know this program's sample.
func NewPlainFrame(host muster.HostID, seq uint64, envelope []byte) (*Frame, error) {
	return newFrame(host, seq, envelope, nil, muster.Digest{})
}

func newFrame(host muster.HostID, seq uint64, envelope, base []byte, digest muster.Digest) (*Frame, error) {
	if len(envelope) == 0 || len(envelope) > MaxEnvelope {
		return nil, fmt.Errorf("compress report %d of %d bytes: %w", seq, len(envelope), ErrTooLarge)
	}
	body, err := compress(envelope, base)
	if err != nil {
		return nil, fmt.Errorf("compress report %d: %w", seq, err)
	}
	return &Frame{Host: host, Seq: seq, Base: digest, Size: uint32(len(envelope)), Body: body}, nil
}

// OpenFrame returns the envelope of a frame. base finds an envelope by its
// digest, or gives nil; it is not asked for samples. maxSize bounds the
// envelope in bytes, before anything is allocated; 0 means MaxEnvelope. Errors
// wrap ErrTooLarge, ErrNeedBase or ErrMalformed. Safe for concurrent use.
func OpenFrame(f *Frame, base func(muster.Digest) []byte, maxSize int) ([]byte, error) {
	return OpenFrameInto(nil, f, base, maxSize)
}

// OpenFrameInto is OpenFrame into the memory of room, where that is large enough. The
// base must be elsewhere.
func OpenFrameInto(room []byte, f *Frame, base func(muster.Digest) []byte, maxSize int) ([]byte, error) {
	if maxSize <= 0 || maxSize > MaxEnvelope {
		maxSize = MaxEnvelope
	}
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("open the frame of report %d: %w", f.Seq, err) }
	if f.Size == 0 {
		return fail(ErrMalformed)
	}
	if int64(f.Size) > int64(maxSize) {
		return fail(fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, f.Size, maxSize))
	}
	var head zstd.Header
	if err := head.Decode(f.Body); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	wantID := uint32(dictID)
	if f.Base.IsZero() {
		wantID = 0
	}
	if head.Skippable || !head.HasFCS || head.FrameContentSize != uint64(f.Size) || head.DictionaryID != wantID {
		return fail(fmt.Errorf("%w: the zstd header says something else", ErrMalformed))
	}
	var dict []byte
	if !f.Base.IsZero() {
		s, err := samples()
		if err != nil {
			return fail(err)
		}
		if dict = s.byDigest[f.Base]; dict == nil && base != nil {
			dict = base(f.Base)
		}
		if dict == nil {
			return fail(ErrNeedBase)
		}
	}
	envelope, err := decompress(room, f.Body, dict, int(f.Size))
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrMalformed, err))
	}
	return envelope, nil
}

// Coders are costly to make and cheap to give another dictionary. An encoder
// cannot go between with and without one.
var (
	encoders, plainEncoders, decoders sync.Pool
)

func compress(data, dict []byte) ([]byte, error) {
	pool, opts := &plainEncoders, []zstd.EOption(nil)
	if dict != nil {
		pool, opts = &encoders, []zstd.EOption{zstd.WithEncoderDictRaw(dictID, dict)}
	}
	enc, ok := pool.Get().(*zstd.Encoder)
	var err error
	if ok {
		err = enc.ResetWithOptions(nil, opts...)
	} else {
		enc, err = zstd.NewWriter(nil, append(opts,
			// Almost all lies in the dictionary: a better level saves 4 in 100 bytes,
			// and takes ten times the time and 8 MB of tables.
			zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(MaxEnvelope),
			zstd.WithSingleSegment(true),
			zstd.WithEncoderCRC(false), // the signature and the outbox have digests
			zstd.WithLowerEncoderMem(true))...)
	}
	if err != nil {
		return nil, err
	}
	defer pool.Put(enc)
	return enc.EncodeAll(data, nil), nil
}

func decompress(room, data, dict []byte, size int) ([]byte, error) {
	dec, ok := decoders.Get().(*zstd.Decoder)
	if !ok {
		var err error
		dec, err = zstd.NewReader(nil,
			zstd.WithDecoderConcurrency(1),
			zstd.WithDecodeAllCapLimit(true), // never past cap(dst), whatever follows
			zstd.WithDecoderMaxMemory(MaxEnvelope),
			zstd.WithDecoderMaxWindow(MaxEnvelope))
		if err != nil {
			return nil, err
		}
	}
	defer decoders.Put(dec)
	var opt zstd.DOption
	if dict != nil {
		opt = zstd.WithDecoderDictRaw(dictID, dict)
	} else {
		opt = zstd.WithDecoderDictDelete()
	}
	if err := dec.ResetWithOptions(nil, opt); err != nil {
		return nil, err
	}
	if cap(room) < size {
		room = make([]byte, size)
	}
	out, err := dec.DecodeAll(data, room[:0:size])
	if err == nil && len(out) != size {
		err = fmt.Errorf("%d bytes where %d were promised", len(out), size)
	}
	return out, err
}

package wire

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds what a reader of a stream holds, in bytes.
const maxWindow = 8 << 20

// NewStreamWriter compresses a stream of any length, such as a backup. Close ends it,
// and leaves w open.
func NewStreamWriter(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(maxWindow/2))
}

// NewStreamReader reads what NewStreamWriter wrote; an error at its end is one of
// zstd's where it was cut off or changed. Close frees it, and leaves r open.
func NewStreamReader(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

package outbox

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/passmuster/muster/internal/durable"
)

// Reader looks into an outbox and never writes. It may run beside the writer: a
// report that was listed can be gone when it is read, with fs.ErrNotExist. Call
// it from one goroutine.
type Reader struct {
	dir  string
	seal cipher.AEAD
	// settled: no power loss takes the names of files up to this number back.
	settled uint64
}

// OpenReader opens the outbox in the folder for reading.
func OpenReader(dir string) (*Reader, error) {
	if _, err := os.ReadDir(dir); err != nil {
		return nil, fmt.Errorf("open the outbox: %w", err)
	}
	return &Reader{dir: dir}, nil
}

// List gives the numbers of the waiting reports, in order.
func (r *Reader) List() ([]uint64, error) {
	scan, err := r.scan()
	return scan.reports, err
}

// Read gives the signed envelope of a report. Its error wraps fs.ErrNotExist
// where the report is gone, ErrCorrupt where its file is damaged, ErrSealed where it lacks the key. The report
// may leave this computer: it survives a power loss, so its number is never
// given again, even if its writer was killed before it came to that.
func (r *Reader) Read(seq uint64) ([]byte, error) {
	_, envelope, err := r.open(reportName(seq))
	if err != nil || seq <= r.settled {
		return envelope, err
	}
	list, err := r.List()
	if err != nil {
		return nil, err
	}
	if err := durable.SyncDir(r.dir); err != nil {
		return nil, fmt.Errorf("outbox: %s: %w", reportName(seq), err)
	}
	r.settled = seq
	if len(list) > 0 {
		r.settled = max(seq, list[len(list)-1])
	}
	return envelope, nil
}

// Base gives the newest envelope that the collector has receipted, or nil where
// there is none or it cannot be read: it only makes the mail smaller.
func (r *Reader) Base() []byte {
	_, envelope, err := r.open(baseName)
	if err != nil {
		return nil
	}
	return envelope
}

// Depth says how full the outbox is.
type Depth struct {
	Reports int   `json:"reports"`
	Bytes   int64 `json:"bytes"`
	// Corrupt files were set aside as *.corrupt for someone to look at.
	Corrupt int    `json:"corrupt"`
	Oldest  uint64 `json:"oldest_seq,omitempty"`
	Newest  uint64 `json:"newest_seq,omitempty"`
}

// Depth counts what waits.
func (r *Reader) Depth() (Depth, error) {
	scan, err := r.scan()
	d := Depth{Reports: len(scan.reports), Bytes: scan.bytes, Corrupt: len(scan.corrupt)}
	if n := len(scan.reports); n > 0 {
		d.Oldest, d.Newest = scan.reports[0], scan.reports[n-1]
	}
	return d, err
}

type scan struct {
	reports []uint64 // in order
	corrupt []uint64
	bytes   int64 // of both
}

func (r *Reader) scan() (scan, error) {
	files, err := os.ReadDir(r.dir)
	if err != nil {
		return scan{}, fmt.Errorf("list the outbox: %w", err)
	}
	var s scan
	for _, f := range files {
		seq, corrupt, ok := parseName(f.Name())
		if !ok {
			continue
		}
		info, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return scan{}, fmt.Errorf("list the outbox: %w", err)
		}
		s.bytes += info.Size()
		if corrupt {
			s.corrupt = append(s.corrupt, seq)
		} else {
			s.reports = append(s.reports, seq)
		}
	}
	slices.Sort(s.reports)
	slices.Sort(s.corrupt)
	return s, nil
}

func (r *Reader) path(name string) string { return filepath.Join(r.dir, name) }

func (r *Reader) read(name string) ([]byte, error) {
	b, err := durable.ReadForeign(r.path(name), maxFileSize)
	if errors.Is(err, durable.ErrForeign) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return nil, fmt.Errorf("outbox: %w", err)
	}
	return b, nil
}

func (r *Reader) open(name string) (entry, []byte, error) {
	b, err := r.read(name)
	if err != nil {
		return entry{}, nil, err
	}
	e, envelope, err := decodeFile(b, r.seal)
	if err == nil && name != baseName && reportName(e.Seq) != name {
		err = fmt.Errorf("%w: report %d is in it", ErrCorrupt, e.Seq)
	}
	if err != nil {
		return entry{}, nil, fmt.Errorf("outbox: %s: %w", name, err)
	}
	return e, envelope, nil
}

// entry reads only the head of a file, without checking the rest.
func (r *Reader) entry(seq uint64) (entry, int64, error) {
	f, err := os.Open(r.path(reportName(seq)))
	if err != nil {
		return entry{}, 0, fmt.Errorf("outbox: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return entry{}, 0, fmt.Errorf("outbox: %w", err)
	}
	head, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return entry{}, 0, fmt.Errorf("outbox: %s: %w", reportName(seq), err)
	}
	if len(head) < firstLine || !bytes.HasPrefix(head, []byte(fileMagic)) {
		return entry{}, 0, fmt.Errorf("outbox: %s: %w", reportName(seq), ErrCorrupt)
	}
	e, _, err := decodeEntry(head[firstLine:])
	if err == nil && e.Seq != seq {
		err = fmt.Errorf("report %d is in it", e.Seq)
	}
	if err != nil {
		return entry{}, 0, fmt.Errorf("outbox: %s: %w: %w", reportName(seq), ErrCorrupt, err)
	}
	return e, info.Size(), nil
}

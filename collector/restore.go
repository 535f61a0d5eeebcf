package collector

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// maxBackupItem bounds an item of a backup, in bytes: a policy bundle is the largest.
const maxBackupItem = 64 << 20

// ErrNoBackup: the file is none, is cut off or was changed. Nothing was restored.
var ErrNoBackup = errors.New("it is not a whole backup")

// Restored says what a backup held.
type Restored struct {
	// MadeAt is when it was made, Rows how many it has.
	MadeAt time.Time
	Rows   int
	// Keys: it had the keys too.
	Keys bool
}

// Restore puts a backup into an empty data folder, and into the database that the
// options name, which must be empty too. The whole file is read and checked before
// anything is written. A sealed one is opened with keys.
func Restore(ctx context.Context, o Options, name string, keys seal.Keys) (Restored, error) {
	o = o.withDefaults()
	fail := func(err error) (Restored, error) { return Restored{}, fmt.Errorf("restore %s: %w", name, err) }
	f, err := os.Open(name)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	got, files, err := checkBackup(f, keys)
	if err != nil {
		return fail(err)
	}
	if err := durable.MkdirAll(o.Data, 0o700); err != nil {
		return fail(err)
	}
	s, err := o.openStore(ctx)
	if err != nil {
		return fail(err)
	}
	// The database is known to be empty once it asks for rows: then the keys go first,
	// so that no database is ever without them.
	first := sync.OnceValue(func() error { return o.restoreKeys(files) })
	if err := errors.Join(loadBackup(ctx, s, f, keys, first), s.Close()); err != nil {
		return fail(err)
	}
	return got, nil
}

// checkBackup reads a backup to its end.
func checkBackup(r io.Reader, keys seal.Keys) (got Restored, files []backupFile, err error) {
	b, err := openBackup(r, keys)
	if err != nil {
		return got, nil, err
	}
	defer b.close()
	for {
		if _, err := b.next(); err == io.EOF {
			return Restored{b.head.MadeAt.UTC(), b.rows, len(b.files) > 0}, b.files, nil
		} else if err != nil {
			return got, nil, err
		}
	}
}

// loadBackup loads the rows, and calls first before it gives any.
func loadBackup(ctx context.Context, s store.Store, f io.ReadSeeker, keys seal.Keys, first func() error) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	b, err := openBackup(f, keys)
	if err != nil {
		return err
	}
	defer b.close()
	return s.Load(ctx, func() (store.Row, error) {
		if err := first(); err != nil {
			return store.Row{}, err
		}
		for {
			if row, err := b.next(); err != nil || !secretRow(row) {
				return row, err
			}
		}
	})
}

// restoreKeys writes the keys where there are none. The same ones may be there: a
// restore that was interrupted is begun again.
func (o Options) restoreKeys(files []backupFile) error {
	dir := o.keysFolder()
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, file := range files {
		path := filepath.Join(dir, file.Name)
		there, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = durable.WriteFile(path, file.Data, 0o600)
		case err == nil && !bytes.Equal(there, file.Data):
			err = fmt.Errorf("there are other keys in %s: restore into an empty data folder", dir)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// backupReader reads a backup, which anyone may have made.
type backupReader struct {
	stream io.ReadCloser
	seq    *wire.SeqReader
	sum    hash.Hash
	head   backupHead
	files  []backupFile
	table  backupTable
	rows   int
}

func openBackup(r io.Reader, keys seal.Keys) (*backupReader, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	r = buffered
	if start, _ := buffered.Peek(64); seal.Sealed(start) {
		var err error
		if r, err = seal.Decrypt(r, keys); errors.Is(err, seal.ErrOtherKey) {
			return nil, fmt.Errorf("%w: name the file of the age key that opens it with --identity", err)
		} else if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoBackup, err)
		}
	}
	stream, err := wire.NewStreamReader(r)
	if err != nil {
		return nil, err
	}
	b := &backupReader{stream: stream, sum: sha256.New()}
	b.seq, err = wire.NewSeqReader(stream, maxBackupItem, math.MaxInt)
	if err == nil {
		err = b.begin()
	}
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *backupReader) close() { _ = b.stream.Close() }

func (b *backupReader) begin() error {
	var item backupItem
	if err := b.seq.Read(&item); err != nil {
		return fmt.Errorf("%w: %w", ErrNoBackup, err)
	}
	switch {
	case item.Head == nil || item.Head.Format != backupFormat || item.Head.Schema < 1:
		return ErrNoBackup
	case item.Head.Schema > backupSchema:
		return fmt.Errorf("its backup %w: update this one", wire.ErrFutureSchema)
	}
	b.head = *item.Head
	return b.add(item)
}

// add counts an item into the digest.
func (b *backupReader) add(item backupItem) error {
	data, err := wire.Marshal(item)
	b.sum.Write(data)
	return err
}

// next gives the rows, and io.EOF after the last where all was there and unchanged.
func (b *backupReader) next() (store.Row, error) {
	for {
		var item backupItem
		if err := b.seq.Read(&item); err != nil {
			return store.Row{}, fmt.Errorf("%w: %w", ErrNoBackup, noEnd(err))
		}
		if item.End != nil {
			return store.Row{}, b.end(item.End)
		}
		if err := b.add(item); err != nil {
			return store.Row{}, err
		}
		switch {
		case item.File != nil:
			again := func(f backupFile) bool { return f.Name == item.File.Name }
			if !slices.Contains(keyFiles(), item.File.Name) || slices.ContainsFunc(b.files, again) {
				return store.Row{}, fmt.Errorf("%w: it has a file %q", ErrNoBackup, item.File.Name)
			}
			b.files = append(b.files, *item.File)
		case item.Table != nil:
			b.table = *item.Table
		case item.Row != nil && len(item.Row) == len(b.table.Columns):
			b.rows++
			values, err := columnValues(item.Row)
			return store.Row{Table: b.table.Name, Columns: b.table.Columns, Values: values}, err
		default:
			return store.Row{}, fmt.Errorf("%w: an item in it is of no kind", ErrNoBackup)
		}
	}
}

// noEnd names the end of a file that is cut off: io.EOF would say that it is whole.
func noEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (b *backupReader) end(e *backupEnd) error {
	if e.Rows != b.rows || !bytes.Equal(e.Digest, b.sum.Sum(nil)) {
		return fmt.Errorf("%w: its digest is another", ErrNoBackup)
	}
	var more backupItem
	if err := b.seq.Read(&more); err != io.EOF {
		return fmt.Errorf("%w: something follows its end", ErrNoBackup)
	}
	return io.EOF
}

// columnValues brings what CBOR gives to what columns hold.
func columnValues(values []any) ([]any, error) {
	for i, v := range values {
		switch v := v.(type) {
		case nil, int64, string, []byte:
		case uint64:
			if v > math.MaxInt64 {
				return nil, fmt.Errorf("%w: a number in it is too large", ErrNoBackup)
			}
			values[i] = int64(v)
		default:
			return nil, fmt.Errorf("%w: a value in it is of no kind that columns hold", ErrNoBackup)
		}
	}
	return values, nil
}

package collector

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
	"github.com/passmuster/muster/internal/wire"
)

// A backup is a CBOR sequence in one zstd stream, which age may seal: a head, the
// files of keys/, the rows of every table as they were at one instant, and an end with
// a digest of all before it. It does not depend on the database it came from.
const backupSchema = 1

// backupItem is one item of the sequence; exactly one of its kinds is set.
type backupItem struct {
	Head *backupHead `cbor:"1,keyasint,omitempty"`
	File *backupFile `cbor:"2,keyasint,omitempty"`
	// Table begins the rows of a table, each the Row of its columns.
	Table *backupTable `cbor:"3,keyasint,omitempty"`
	Row   []any        `cbor:"4,keyasint,omitempty"` // nil, integers, text and bytes
	End   *backupEnd   `cbor:"5,keyasint,omitempty"`
}

type backupHead struct {
	Format string    `cbor:"1,keyasint"` // backupFormat
	Schema int       `cbor:"2,keyasint"`
	MadeAt time.Time `cbor:"3,keyasint"`
	// Version of the program, and what database it came from, for people.
	Version  string `cbor:"4,keyasint"`
	Database string `cbor:"5,keyasint"`
}

const backupFormat = "muster-collector backup"

type backupFile struct {
	Name string `cbor:"1,keyasint"` // in keys/
	Data []byte `cbor:"2,keyasint"`
}

type backupTable struct {
	Name    string   `cbor:"1,keyasint"`
	Columns []string `cbor:"2,keyasint"`
}

type backupEnd struct {
	Rows int `cbor:"1,keyasint"`
	// Digest is the SHA-256 of all items before.
	Digest []byte `cbor:"2,keyasint"`
}

// BackupOptions of Backup.
type BackupOptions struct {
	// NoKeys leaves keys/ out: without it nobody goes on from the backup but who has
	// kept them elsewhere.
	NoKeys bool
	// To is whose key opens the backup; nil leaves it open to all.
	To *seal.Recipient
	// Progress learns how many rows are written so far; may be nil.
	Progress func(rows int)
}

// Backup writes the collector as it is now into a new file of mode 0600, while it
// serves. One that does not come to its end leaves no file.
func (c *Collector) Backup(ctx context.Context, name, actor string, o BackupOptions) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("write the backup: %s is there already: name a new file", name)
	}
	if err := c.log(ctx, actor, "backup", filepath.Base(name)); err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(c.writeBackup(ctx, w, o)) }()
	defer r.Close()
	return durable.WriteFrom(name, r, 0o600)
}

func (c *Collector) writeBackup(ctx context.Context, w io.Writer, o BackupOptions) (err error) {
	ends := []io.Closer{}
	if o.To != nil {
		sealed, err := seal.Encrypt(w, o.To)
		if err != nil {
			return err
		}
		w, ends = sealed, append(ends, sealed)
	}
	z, err := wire.NewStreamWriter(w)
	if err != nil {
		return err
	}
	b := &backupWriter{w: z, sum: sha256.New()}
	if err := c.backupItems(ctx, b, o); err != nil {
		return err
	}
	for _, end := range slices.Backward(append(ends, z)) {
		if err := end.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Collector) backupItems(ctx context.Context, b *backupWriter, o BackupOptions) error {
	about, err := c.store.About(ctx)
	if err != nil {
		return err
	}
	head := &backupHead{backupFormat, backupSchema, c.Now().UTC().Truncate(time.Second), muster.Version, about.Database}
	if err := b.write(backupItem{Head: head}); err != nil {
		return err
	}
	if !o.NoKeys {
		for _, name := range keyFiles() {
			data, err := os.ReadFile(filepath.Join(c.keysFolder(), name))
			if err != nil {
				return fmt.Errorf("read key: %w", err)
			}
			if err := b.write(backupItem{File: &backupFile{name, data}}); err != nil {
				return err
			}
		}
	}
	err = c.store.Dump(ctx, func(row store.Row) error {
		if o.Progress != nil && b.rows%1024 == 0 {
			o.Progress(b.rows)
		}
		return b.row(row)
	})
	if err != nil {
		return err
	}
	return b.write(backupItem{End: &backupEnd{b.rows, b.sum.Sum(nil)}})
}

// keyFiles are all files of the keys folder.
func keyFiles() []string {
	names := slices.Clone(tokenFiles)
	for _, kind := range keyKinds {
		names = append(names, kind.file)
	}
	return names
}

type backupWriter struct {
	w     io.Writer
	sum   hash.Hash
	table string
	rows  int
}

func (b *backupWriter) write(item backupItem) error {
	data, err := wire.Marshal(item)
	if err == nil {
		b.sum.Write(data)
		_, err = b.w.Write(data)
	}
	return err
}

func (b *backupWriter) row(row store.Row) error {
	if secretRow(row) {
		return nil
	}
	if row.Table != b.table {
		b.table = row.Table
		if err := b.write(backupItem{Table: &backupTable{row.Table, row.Columns}}); err != nil {
			return err
		}
	}
	values := slices.Clone(row.Values)
	for i, v := range values {
		if text, ok := v.(string); ok {
			values[i] = strings.ToValidUTF8(text, "\uFFFD") // or nobody could read it back
		}
	}
	b.rows++
	return b.write(backupItem{Row: values})
}

// secretRow reports whether a row lets someone in: an old backup must not.
func secretRow(row store.Row) bool {
	i := slices.Index(row.Columns, "kind")
	return row.Table == "tickets" && (i < 0 || row.Values[i] != announced.Kind)
}

package builtin

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// hashes is the table hash: digests of regular files, of any size (osquery
// leaves out those over 50 MB). A file that cannot be read for another reason
// than missing rights keeps its row, with empty digests.
func (h host) hashes() facts.Table {
	return facts.Table{
		Name: "hash", Platforms: onBoth, Source: "files", Preferred: true,
		Columns: columns("path text required, directory text required, md5 text, sha1 text, sha256 text"),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			return h.eachPath(ctx, q, func(f found) error {
				row, err := h.digests(ctx, f.path, q.Used)
				if row == nil || err != nil {
					return err
				}
				row["path"], row["directory"] = f.path, f.directory
				return emit(row)
			})
		},
	}
}

// digests reads the file once for the digests that are used. It returns nil
// where there is no regular file.
func (h host) digests(ctx context.Context, path string, used func(string) bool) (muster.Row, error) {
	st, err := os.Stat(h.path(path))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, readError(path, err)
	case err != nil || !st.Mode().IsRegular():
		return nil, nil
	}
	sums := map[string]hash.Hash{}
	var to []io.Writer
	for name, algorithm := range map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New} {
		if used(name) {
			sums[name] = algorithm()
			to = append(to, sums[name])
		}
	}
	row := muster.Row{}
	if len(sums) == 0 {
		return row, nil
	}
	f, err := openFile(h.path(path))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, readError(path, err)
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return row, nil
	}
	defer f.Close()
	if _, err := io.Copy(io.MultiWriter(to...), contextReader{ctx, f}); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("hash %s: %w", path, ctx.Err())
		}
		return row, nil
	}
	for name, sum := range sums {
		row[name] = hex.EncodeToString(sum.Sum(nil))
	}
	return row, nil
}

// contextReader stops reading once ctx is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

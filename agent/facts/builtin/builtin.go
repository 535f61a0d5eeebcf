// Package builtin is the tables that Muster reads by itself, in Go: the ones
// of osquery that the baseline needs, with osquery's names, columns and string
// values, and under the prefix muster_ what osquery cannot see.
//
// One small file defines one table (mounts_linux.go); parsing is kept apart
// from reading. Nothing here starts a process, asks the network or writes. A
// table that cannot be read whole says so (facts.ErrDenied,
// facts.ErrUnavailable) and never gives a part for the whole; where a table
// differs from osquery's on purpose, its comment says how and why.
package builtin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// Tables lists the tables of the operating system that this program was
// built for, in the order of their names.
func Tables() []facts.Table { return tables() }

// maxText bounds the size of one text file that is read whole.
const maxText = 64 << 20

// onBoth are the platforms of a table that every system has.
var onBoth = []muster.Platform{muster.Linux, muster.Windows}

type (
	emitFunc = func(muster.Row) error
	rowsFunc = func(ctx context.Context, q facts.Query, emit emitFunc) error
)

// list makes a table's Rows of a function that gives all rows at once.
func list(read func(ctx context.Context, q facts.Query) ([]muster.Row, error)) rowsFunc {
	return func(ctx context.Context, q facts.Query, emit emitFunc) error {
		rows, err := read(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := emit(r); err != nil {
				return err
			}
		}
		return ctx.Err()
	}
}

// columns reads a list such as "uid bigint, path text required": name, type,
// and perhaps the words required or hidden.
func columns(list string) []facts.Column {
	var cols []facts.Column
	for item := range strings.SplitSeq(list, ",") {
		words := strings.Fields(item)
		if len(words) < 2 {
			continue
		}
		c := facts.Column{Name: words[0], Type: words[1]}
		for _, w := range words[2:] {
			c.Required = c.Required || w == "required"
			c.Hidden = c.Hidden || w == "hidden"
		}
		cols = append(cols, c)
	}
	return cols
}

// flag is osquery's way to write a truth.
func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

// usesAny reports whether the statement reads one of the columns.
func usesAny(q facts.Query, columns ...string) bool {
	for _, c := range columns {
		if q.Used(c) {
			return true
		}
	}
	return false
}

// host is the computer that the tables read: the zero value this one, or a
// copy of one below the folder root.
type host struct{ root string }

func (h host) path(p string) string {
	if h.root == "" {
		return p
	}
	return filepath.Join(h.root, p)
}

// errNotRegular: a pipe, a socket or a device is there in the place of a file.
var errNotRegular = errors.New("it is no regular file")

// text reads a whole regular file. Its error wraps fs.ErrNotExist or
// facts.ErrDenied.
func (h host) text(path string) (string, error) {
	f, err := openFile(h.path(path))
	if err != nil {
		return "", readError(path, err)
	}
	defer f.Close()
	return readWhole(f, path, maxText)
}

// readWhole reads a file of at most so many bytes; path names it in errors.
func readWhole(f *os.File, path string, most int) (string, error) {
	var b bytes.Buffer
	if st, err := f.Stat(); err == nil && st.Size() <= int64(most) {
		b.Grow(int(st.Size()) + bytes.MinRead) // files of /proc say 0
	}
	if _, err := b.ReadFrom(io.LimitReader(f, int64(most)+1)); err != nil {
		return "", readError(path, err)
	}
	if b.Len() > most {
		return "", fmt.Errorf("read %s: larger than %d bytes", path, most)
	}
	return b.String(), nil
}

// textIfAny is text for a file that need not be there, or may be a folder: ""
// then.
func (h host) textIfAny(path string) (string, error) {
	s, err := h.text(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
		return "", nil
	}
	return s, err
}

// maxNames bounds the names in one folder: anybody can fill /tmp or a home.
const maxNames = 100_000

// dir lists a folder's names in order; none where the folder is not there.
func (h host) dir(path string) ([]string, error) { return h.names(path, maxNames) }

// names is dir for a folder of at most so many names.
func (h host) names(path string, most int) ([]string, error) {
	f, err := os.OpenFile(h.path(path), os.O_RDONLY|openDirectory, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, readError(path, err)
	}
	defer f.Close()
	names, err := f.Readdirnames(most + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, readError(path, err)
	}
	if len(names) > most {
		return nil, fmt.Errorf("read %s: more than %d names", path, most)
	}
	slices.Sort(names)
	return names, nil
}

// readError names the file as the host knows it and turns a refusal of the
// system into facts.ErrDenied.
func readError(path string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if errors.Is(err, fs.ErrPermission) {
		err = facts.ErrDenied
	}
	return fmt.Errorf("read %s: %w", path, err)
}

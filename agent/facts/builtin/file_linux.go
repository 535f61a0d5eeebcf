package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// files is the table file: what the file system says of paths. As in osquery a
// link shows its target's values; path or directory must be given.
func (h host) files() facts.Table {
	return facts.Table{
		Name: "file", Platforms: onLinux, Source: "files",
		Columns: columns(`path text required, directory text required, filename text, inode bigint, uid bigint,
			gid bigint, mode text, device bigint, size bigint, block_size integer, atime bigint, mtime bigint,
			ctime bigint, btime bigint, hard_links integer, symlink integer, type text, symlink_target_path text`),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			return h.eachPath(ctx, q, func(f found) error {
				row, err := h.fileRow(f)
				if row == nil || err != nil {
					return err
				}
				return emit(row)
			})
		},
	}
}

// fileRow is nil where there is nothing at the path.
func (h host) fileRow(f found) (muster.Row, error) {
	path := h.path(f.path)
	var link unix.Stat_t
	switch err := unix.Lstat(path, &link); {
	case errors.Is(err, fs.ErrPermission):
		return nil, readError(f.path, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return nil, nil
	case err != nil:
		return nil, readError(f.path, err)
	}
	r := muster.Row{"path": f.path, "directory": f.directory, "filename": filepath.Base(f.path), "symlink": "0"}
	if endsInSeparator(f.path) {
		r["filename"] = "."
	}
	st := link
	r["type"] = fileType(st.Mode)
	if r["type"] == "symlink" {
		r["symlink"] = "1"
		r["symlink_target_path"], _ = os.Readlink(path)
		r["type"] = "unknown" // what osquery calls a link to nowhere
		if err := unix.Stat(path, &st); err == nil {
			r["type"] = fileType(st.Mode)
		} else {
			st = link
		}
	}
	d := func(n int64) string { return strconv.FormatInt(n, 10) }
	u := func(n uint64) string { return strconv.FormatUint(n, 10) }
	r["inode"], r["uid"], r["gid"], r["device"] = u(st.Ino), u(uint64(st.Uid)), u(uint64(st.Gid)), u(uint64(st.Rdev))
	r["mode"] = fmt.Sprintf("%04o", st.Mode&0o7777)
	r["size"], r["block_size"], r["hard_links"] = d(st.Size), d(int64(st.Blksize)), u(uint64(st.Nlink))
	r["atime"], r["mtime"], r["ctime"], r["btime"] = d(st.Atim.Sec), d(st.Mtim.Sec), d(st.Ctim.Sec), "0"
	return r, nil
}

func fileType(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "regular"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symlink"
	case unix.S_IFBLK:
		return "block"
	case unix.S_IFCHR:
		return "character"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "unknown"
}

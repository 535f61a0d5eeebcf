package builtin

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster/agent/facts"
)

// found is one path that a statement of the tables file and hash asks for.
type found struct {
	path      string // as the statement sees it; a folder found by a pattern ends in a separator, as in osquery
	directory string
}

// eachPath calls visit for every path that the statement's constraints on path
// and directory name, in order: = names one, LIKE is osquery's pattern, where %
// stands for anything within a folder and a last %% for everything below.
// Unlike osquery a pattern also finds names that start with a dot: a hidden
// file is still a file. A folder that may not be listed is facts.ErrDenied.
func (h host) eachPath(ctx context.Context, q facts.Query, visit func(found) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, c := range q.Constraints {
		var err error
		switch {
		case c.Column == "path" && c.Op == facts.Equal:
			err = visit(found{c.Value, parent(c.Value)})
		case c.Column == "path" && c.Op == facts.Like:
			err = h.glob(ctx, c.Value, func(p string) error { return visit(found{p, parent(p)}) })
		case c.Column == "directory" && c.Op == facts.Equal:
			err = h.eachChild(ctx, c.Value, visit)
		case c.Column == "directory" && c.Op == facts.Like:
			err = h.glob(ctx, c.Value, func(p string) error {
				if !endsInSeparator(p) {
					return nil
				}
				return h.eachChild(ctx, p, visit)
			})
		default:
			continue
		}
		// SQLite checks every row against all constraints: one of them is enough.
		return err
	}
	return errors.New("needs path or directory in its WHERE clause")
}

func (h host) eachChild(ctx context.Context, dir string, visit func(found) error) error {
	names, err := h.children(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := visit(found{filepath.Join(dir, name), dir}); err != nil {
			return err
		}
	}
	return nil
}

// children lists a folder; what is no folder has none.
func (h host) children(dir string) ([]string, error) {
	names, err := h.dir(dir)
	if err != nil && !errors.Is(err, facts.ErrDenied) {
		if st, serr := os.Stat(h.path(dir)); serr != nil || !st.IsDir() {
			return nil, nil
		}
	}
	return names, err
}

// glob walks the pattern's parts from the left and visits what exists.
func (h host) glob(ctx context.Context, pattern string, visit func(path string) error) error {
	sep := string(filepath.Separator)
	clean := filepath.FromSlash(pattern)
	recursive := strings.HasSuffix(clean, "%%")
	parts := strings.Split(strings.TrimPrefix(clean, filepath.VolumeName(clean)), sep)
	if len(parts) < 2 || parts[0] != "" {
		return errors.New("a path pattern must be absolute")
	}
	return h.globFrom(ctx, filepath.VolumeName(clean)+sep, parts[1:], recursive, visit)
}

func (h host) globFrom(ctx context.Context, dir string, parts []string, recursive bool, visit func(string) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	last := len(parts) == 1
	if !strings.Contains(parts[0], "%") {
		next := filepath.Join(dir, parts[0])
		if !last {
			return h.globFrom(ctx, next, parts[1:], recursive, visit)
		}
		st, err := os.Stat(h.path(next))
		if errors.Is(err, fs.ErrPermission) {
			return readError(next, err)
		}
		if err != nil {
			return nil
		}
		return visit(markDir(next, st.IsDir()))
	}
	names, err := h.children(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !matchPart(parts[0], name) {
			continue
		}
		next := filepath.Join(dir, name)
		isDir := false
		if st, err := os.Stat(h.path(next)); err == nil {
			isDir = st.IsDir()
		}
		switch {
		case !last && isDir:
			err = h.globFrom(ctx, next, parts[1:], recursive, visit)
		case last:
			err = visit(markDir(next, isDir))
			if err == nil && recursive && isDir {
				err = h.walk(ctx, next, visit)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// walk visits everything below dir. It does not follow links to folders, so
// that it ends and stays below.
func (h host) walk(ctx context.Context, dir string, visit func(string) error) error {
	names, err := h.dir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Join(dir, name)
		st, err := os.Lstat(h.path(path))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // gone since its folder was listed
		case err != nil:
			return readError(path, err)
		}
		if err := visit(markDir(path, st.IsDir())); err != nil {
			return err
		}
		if !st.IsDir() {
			continue
		}
		if err := h.walk(ctx, path, visit); err != nil {
			return err
		}
	}
	return nil
}

// matchPart matches one name against one part of a pattern, where each run of
// % stands for any characters. Case counts where it does for the file system.
func matchPart(part, name string) bool {
	if filepath.Separator == '\\' {
		part, name = strings.ToLower(part), strings.ToLower(name)
	}
	pieces := strings.Split(part, "%")
	rest, ok := strings.CutPrefix(name, pieces[0])
	if !ok {
		return false
	}
	for _, piece := range pieces[1 : len(pieces)-1] {
		i := strings.Index(rest, piece)
		if i < 0 {
			return false
		}
		rest = rest[i+len(piece):]
	}
	return strings.HasSuffix(rest, pieces[len(pieces)-1])
}

func markDir(path string, isDir bool) string {
	if isDir {
		return path + string(filepath.Separator)
	}
	return path
}

func endsInSeparator(path string) bool {
	return path != "" && os.IsPathSeparator(path[len(path)-1])
}

// parent is the folder that holds path; of "/etc/", which a pattern finds, it
// is "/etc", as in osquery.
func parent(path string) string {
	dir := filepath.Dir(path)
	if dir == "." && !strings.ContainsAny(path, `/\`) {
		return ""
	}
	return dir
}

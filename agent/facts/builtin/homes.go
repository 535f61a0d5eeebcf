package builtin

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/passmuster/muster/agent/facts"
)

// home is a person's folder.
type home struct{ uid, path string }

// homesOf are the homes that the statement asks for.
func (h host) homesOf(q facts.Query) ([]home, error) {
	all, err := h.homes()
	uid, one := q.Equals("uid")
	if err != nil || !one {
		return all, err
	}
	var asked []home
	for _, o := range all {
		if o.uid == uid {
			asked = append(asked, o)
		}
	}
	return asked, nil
}

// maxHomeText bounds one file of a person: as JSON it takes many times its size.
const maxHomeText = 8 << 20

// homeText reads a file that its owner, a uid, can put anything in place of: ""
// where there is none. What is no regular file is an error, and so is what is
// too large and what the owner's links make of somebody else's files.
func (h host) homeText(owner, path string) (string, error) {
	f, err := openFile(h.path(path))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return "", nil
	case err != nil:
		return "", readError(path, err)
	}
	defer f.Close()
	if err := mayLead(f, owner, path); err != nil {
		return "", readError(path, err)
	}
	return readWhole(f, path, maxHomeText)
}

// homeFolders lists the folders in a folder; none where it is none itself.
func (h host) homeFolders(path string) ([]string, error) {
	names, err := h.children(path)
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, name := range names {
		folder := filepath.Join(path, name)
		st, err := os.Stat(h.path(folder))
		if errors.Is(err, fs.ErrPermission) {
			return nil, readError(folder, err)
		}
		if err == nil && st.IsDir() {
			folders = append(folders, folder)
		}
	}
	return folders, nil
}

// isElsewhere reports whether a path leads to another computer: even to look
// for it would be to call there, and to sign in.
func isElsewhere(path string) bool {
	return strings.HasPrefix(path, `\`) || strings.HasPrefix(path, "//") || strings.HasPrefix(path, `/\`)
}

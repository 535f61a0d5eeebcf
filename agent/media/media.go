// Package media is the removable media that muster runs from: what lies where on
// it, which volume it is, and the signed manifest by which a trusted computer
// tells that nothing on it was changed.
//
//	MUSTER/README.TXT         what this is, for whoever finds it
//	MUSTER/INSTRUCTIONS.html  what to do with it, to print
//	MUSTER/manifest.json      the files below, with size and SHA-256
//	MUSTER/manifest.sig       COSE_Sign1 over manifest.json, by a key of the state
//	MUSTER/bin/               muster for each operating system
//	MUSTER/licences/          under what terms
//	MUSTER/policy/            policy.tar.gz, the signed bundle
//	MUSTER/site.json          the site file
//	MUSTER/hosts/             a state folder of each host that is audited from here
//	MUSTER/outgoing/          sealed files on their way to the collector
//	MUSTER/incoming/          what the collector returned
//	MUSTER/custody.jsonl      who wrote, relayed and received them, and when
//
// The last four change with every journey, so no manifest lists them.
package media

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/passmuster/muster/internal/durable"
)

// Folder is the only one that muster writes to on a stick.
const Folder = "MUSTER"

// ErrNoFolder: the place is there and has no folder MUSTER. Ask the user whether
// it is the right one, and Make it.
var ErrNoFolder = errors.New("there is no folder " + Folder + " on it")

// Stick is removable media with a folder MUSTER.
type Stick struct{ root string }

// Open finds the stick at its mount point or drive. Its error wraps ErrNoFolder
// where the place exists.
func Open(root string) (*Stick, error) {
	s, err := find(root)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(s.Dir())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("stick %s: %w", s.root, ErrNoFolder)
	case err != nil:
		return nil, fmt.Errorf("stick %s: %w", s.root, err)
	case !info.IsDir():
		return nil, fmt.Errorf("stick %s: %s is no folder", s.root, s.Dir())
	}
	return s, nil
}

// Make opens the stick and makes its folder MUSTER where there is none.
func Make(root string) (*Stick, error) {
	s, err := find(root)
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(s.Dir(), 0o755); err != nil {
		return nil, fmt.Errorf("stick %s: %w", s.root, err)
	}
	if _, err := os.Lstat(s.Path("README.TXT")); err == nil {
		return s, nil
	}
	if err := durable.WriteFile(s.Path("README.TXT"), []byte(readme), 0o644); err != nil {
		return nil, fmt.Errorf("stick %s: %w", s.root, err)
	}
	return s, nil
}

func find(root string) (*Stick, error) {
	if len(root) == 2 && root[1] == ':' && runtime.GOOS == "windows" {
		root += `\` // E: alone is the folder that was last used there
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("stick: %w", err)
	}
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("stick %s: there is no such place: is the stick in, and is this its drive or folder?", root)
	case err != nil:
		return nil, fmt.Errorf("stick %s: %w", root, err)
	case !info.IsDir():
		return nil, fmt.Errorf("stick %s: it is a file: name the drive or folder of the stick", root)
	}
	return &Stick{root}, nil
}

// Root is the mount point or drive, absolute.
func (s *Stick) Root() string { return s.root }

// Dir is the folder MUSTER.
func (s *Stick) Dir() string { return s.Path() }

// Path is of a file or folder in MUSTER.
func (s *Stick) Path(name ...string) string {
	return filepath.Join(append([]string{s.root, Folder}, name...)...)
}

// SiteFile and PolicyFile are where the state's files lie; they may be missing.
func (s *Stick) SiteFile() string   { return s.Path("site.json") }
func (s *Stick) PolicyFile() string { return s.Path("policy", "policy.tar.gz") }

// hostDigits of a machine's id name its folder: enough to tell the computers of
// a county apart, and not the whole id for whoever finds the stick.
const hostDigits = 16

// HostDir is the state folder of the machine with this id (see state.MachineID).
func (s *Stick) HostDir(machine string) string {
	return s.Path("hosts", machine[:min(len(machine), hostDigits)])
}

// Straight refuses a folder in MUSTER that lies below a link or holds one, or a
// device: what is written there could land on the computer. FAT has none.
func (s *Stick) Straight(dir string) error {
	refuse := func(path string) error {
		return fmt.Errorf("stick %s: %s is a link or a device: use a stick on which nobody has put one", s.root, path)
	}
	for up := dir; up != s.root && up != filepath.Dir(up); up = filepath.Dir(up) {
		if info, err := os.Lstat(up); err == nil && !info.IsDir() {
			return refuse(up)
		}
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("stick %s: %w", s.root, err)
		case !d.IsDir() && !d.Type().IsRegular():
			return refuse(path)
		}
		return nil
	})
}

// OnComputer reports whether the place is no stick but on the computer's own disk.
func (s *Stick) OnComputer() bool { return sameVolume(s.root) }

// Gone reports whether the stick was pulled out since it was opened.
func (s *Stick) Gone() bool {
	_, err := os.ReadDir(s.Dir())
	return err != nil
}

const readme = "This stick belongs to an election office. It carries inspection reports of its\r\n" +
	"computers, signed and sealed, to the state. Please give it back.\r\n" +
	"\r\n" +
	"Staff: never open files from here by hand, and use the stick for nothing else.\r\n" +
	"muster audit --courier and muster courier sync read and write it.\r\n"

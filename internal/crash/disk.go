package crash

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Disk is a file system that promises no more than POSIX does: the content of a
// file survives a power loss once the file was synced, and a name once its
// folder was. It is not safe for concurrent use.
type Disk struct{ root *node }

// node is a file, or a folder where names is not nil.
type node struct {
	data, synced []byte

	names   map[string]*node
	settled map[string]*node // names that survive
	pending []change         // since the last sync of the folder, in order
}

// change of a folder: one system call, all of it or nothing.
type change []assignment

type assignment struct {
	name string
	node *node // nil: the name is gone
}

// NewDisk makes an empty one.
func NewDisk() *Disk { return &Disk{folder()} }

// ReadDisk makes one that holds, for good, the files of a folder.
func ReadDisk(dir string) (*Disk, error) {
	d := NewDisk()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		in, name, _, err := d.find(path)
		if err != nil {
			return err
		}
		n := folder()
		if !entry.IsDir() {
			b, err := os.ReadFile(filepath.Join(dir, path))
			if err != nil {
				return err
			}
			n = &node{data: b, synced: b}
		}
		in.names[name], in.settled[name] = n, n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read a disk: %w", err)
	}
	return d, nil
}

func folder() *node { return &node{names: map[string]*node{}, settled: map[string]*node{}} }

func (n *node) change(c ...assignment) {
	apply(n.names, c)
	n.pending = append(n.pending, c)
}

func apply(names map[string]*node, c change) {
	for _, a := range c {
		if a.node == nil {
			delete(names, a.name)
		} else {
			names[a.name] = a.node
		}
	}
}

// find gives a path's folder, its last name, and what has that name; nil where
// nothing has.
func (d *Disk) find(path string) (dir *node, name string, n *node, err error) {
	if path == "." {
		return nil, "", d.root, nil
	}
	dir = d.root
	parts := strings.Split(filepath.ToSlash(path), "/")
	for _, part := range parts[:len(parts)-1] {
		if dir = dir.names[part]; dir == nil || dir.names == nil {
			return nil, "", nil, fmt.Errorf("%s: there is no folder %s", path, part)
		}
	}
	name = parts[len(parts)-1]
	return dir, name, dir.names[name], nil
}

// Apply does what the event tells. Its error says that the events are not of
// this disk.
func (d *Disk) Apply(e Event) error {
	if e.Op == Said {
		return nil
	}
	dir, name, n, err := d.find(e.Path)
	if err != nil {
		return fmt.Errorf("%s: %w", e, err)
	}
	if n == nil && e.Op != Create && e.Op != Mkdir {
		return fmt.Errorf("%s: %w", e, fs.ErrNotExist)
	}
	switch e.Op {
	case Create:
		if n == nil {
			dir.change(assignment{name, &node{}})
		} else if e.Empty {
			n.data = nil
		}
	case Write:
		n.data = append(slices.Clip(n.data), e.Data...)
	case Sync:
		n.synced = n.data
		if n.names != nil {
			n.settled, n.pending = maps.Clone(n.names), nil
		}
	case Rename:
		to, toName, _, err := d.find(e.To)
		if err != nil || to != dir {
			return fmt.Errorf("%s: %w", e, errors.Join(err, errors.New("it leaves its folder")))
		}
		dir.change(assignment{name, nil}, assignment{toName, n})
	case Remove:
		dir.change(assignment{name, nil})
	case Mkdir:
		dir.change(assignment{name, folder()})
	}
	return nil
}

// Files of a disk after a power loss, by path; folders end in a slash.
type Files map[string][]byte

// What survives of unsynced content.
const (
	_ = iota // nothing
	halfContent
	wholeContent
	onlyLength
)

// maxMixed bounds how many states one moment gives by mixing the folders'.
const maxMixed = 256

// AfterPowerLoss gives states that the disk can be in when the power fails now.
// Of each folder's changes since its last sync any may be lost, alone or with
// others, where there are few, and else all from any one on; of content since a
// file's last sync nothing survives, half, all, or its length alone.
func (d *Disk) AfterPowerLoss(yield func(Files) bool) {
	var dirs []*node
	d.walk(d.root, func(n *node) {
		if len(n.pending) > 0 {
			dirs = append(dirs, n)
		}
	})
	for _, kept := range mixes(dirs) {
		for torn := range onlyLength + 1 {
			files, unsynced := Files{}, false
			collect(files, "", d.root, kept, torn, &unsynced)
			if !yield(files) {
				return
			}
			if !unsynced {
				break // content is the same however it is torn
			}
		}
	}
}

// Files is what the disk shows as long as the power is on.
func (d *Disk) Files() Files {
	files, kept := Files{}, map[*node][]bool{}
	d.walk(d.root, func(n *node) { kept[n] = slices.Repeat([]bool{true}, len(n.pending)) })
	collect(files, "", d.root, kept, wholeContent, new(bool))
	return files
}

// walk visits what is or was below n.
func (d *Disk) walk(n *node, visit func(*node)) {
	seen := map[*node]bool{}
	var down func(*node)
	down = func(n *node) {
		if n == nil || n.names == nil || seen[n] {
			return
		}
		seen[n] = true
		visit(n)
		for _, names := range []map[string]*node{n.settled, n.names} {
			for _, name := range slices.Sorted(maps.Keys(names)) {
				down(names[name])
			}
		}
	}
	down(n)
}

// mixes chooses which changes of which folder survive.
func mixes(dirs []*node) []map[*node][]bool {
	all := []map[*node][]bool{{}}
	total := 1
	for _, dir := range dirs {
		total *= len(choices(len(dir.pending)))
		if total > maxMixed {
			return fewMixes(dirs)
		}
	}
	for _, dir := range dirs {
		var more []map[*node][]bool
		for _, m := range all {
			for _, c := range choices(len(dir.pending)) {
				next := maps.Clone(m)
				next[dir] = c
				more = append(more, next)
			}
		}
		all = more
	}
	return all
}

// fewMixes takes each folder's choices beside folders that lost all or nothing.
func fewMixes(dirs []*node) []map[*node][]bool {
	var out []map[*node][]bool
	for _, others := range []bool{false, true} {
		rest := map[*node][]bool{}
		for _, dir := range dirs {
			rest[dir] = slices.Repeat([]bool{others}, len(dir.pending))
		}
		for _, dir := range dirs {
			for _, c := range choices(len(dir.pending)) {
				m := maps.Clone(rest)
				m[dir] = c
				out = append(out, m)
			}
		}
	}
	return out
}

// choices of n changes: every subset of a few; else every beginning, and all but
// one.
func choices(n int) [][]bool {
	var out [][]bool
	if n <= 4 {
		for bits := range 1 << n {
			c := make([]bool, n)
			for i := range c {
				c[i] = bits>>i&1 == 1
			}
			out = append(out, c)
		}
		return out
	}
	for i := range n + 1 {
		out = append(out, append(slices.Repeat([]bool{true}, i), make([]bool, n-i)...))
		if i < n {
			c := slices.Repeat([]bool{true}, n)
			c[i] = false
			out = append(out, c)
		}
	}
	return out
}

func collect(files Files, path string, dir *node, kept map[*node][]bool, torn int, unsynced *bool) {
	names := maps.Clone(dir.settled)
	for i, c := range dir.pending {
		if kept[dir][i] {
			apply(names, c)
		}
	}
	for name, n := range names {
		if n.names != nil {
			files[path+name+"/"] = nil
			collect(files, path+name+"/", n, kept, torn, unsynced)
			continue
		}
		content := n.synced
		if string(n.data) != string(n.synced) {
			*unsynced = true
			switch torn {
			case halfContent:
				content = n.data[:len(n.data)/2]
			case wholeContent:
				content = n.data
			case onlyLength:
				content = make([]byte, len(n.data))
			}
		}
		files[path+name] = content
	}
}

// Digest tells states apart.
func (f Files) Digest() [32]byte {
	h := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(f)) {
		for _, part := range [][]byte{[]byte(path), f[path]} {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
			h.Write(part)
		}
	}
	return [32]byte(h.Sum(nil))
}

// WriteTo makes the files in an empty folder, for their owner alone.
func (f Files) WriteTo(dir string) error {
	for _, path := range slices.Sorted(maps.Keys(f)) { // a folder before what is in it
		at := filepath.Join(dir, path)
		var err error
		if strings.HasSuffix(path, "/") {
			err = os.Mkdir(at, 0o700)
		} else {
			err = os.WriteFile(at, f[path], 0o600)
		}
		if err != nil {
			return fmt.Errorf("write the disk after a power loss: %w", err)
		}
	}
	return nil
}

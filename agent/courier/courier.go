// Package courier is the removable-media way: what lies on a stick and how it is
// written, so that it may be pulled out at any moment.
//
//	outgoing/<host>-<from>-<to>-<8 hex>.courier   sealed files
//	incoming/<host>-<from>-<to>-<8 hex>.return    what the collector answered to one
//	custody.jsonl                                 who wrote, relayed, received it, when
//
// The hex digits begin the SHA-256 of the sealed file, so that everyone can tell a
// damaged one, also without its key. Names have nothing that FAT32 or exFAT
// refuses, and do not differ in case only. Whatever else lies there is left alone.
//
// A sealed file stays until its host has applied the answer. Nothing on a stick
// is trusted: receipts and policies prove themselves, and the host's own outbox
// keeps a report until its receipt is there.
package courier

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/internal/seal"
)

const (
	outgoing  = "outgoing"
	incoming  = "incoming"
	sealedExt = ".courier"
	returnExt = ".return"
	fileMode  = 0o644 // where the stick knows modes: everything on it proves itself or is sealed
	// maxNames bounds what is looked at in a folder.
	maxNames = 1 << 14
	// fileDigits of a digest name a sealed file in custody.
	fileDigits, nameDigits = 16, 8
)

// disk is how a stick is written; the tests have one that is pulled out.
type disk interface {
	WriteFile(path string, data []byte, perm os.FileMode) error
	Remove(path string) error
}

type durableDisk struct{}

func (durableDisk) WriteFile(path string, data []byte, perm os.FileMode) error {
	return durable.WriteFile(path, data, perm)
}
func (durableDisk) Remove(path string) error { return durable.Remove(path) }

// Stick is a folder MUSTER on removable media. Call it from one goroutine.
type Stick struct {
	dir  string
	disk disk
}

// Open opens the folder for writing: it makes what is missing and removes what a
// stick that was pulled out has left half-written.
func Open(dir string) (*Stick, error) {
	s := OpenReader(dir)
	for _, sub := range []string{dir, s.path(outgoing), s.path(incoming)} {
		if err := durable.MkdirAll(sub, 0o755); err != nil {
			return nil, fmt.Errorf("stick: %w", err)
		}
		// A link would lead elsewhere, with the rights of who runs this.
		if info, err := os.Lstat(sub); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("stick: %s is a link and no folder: remove it", sub)
		}
		if err := durable.Sweep(sub); err != nil {
			return nil, fmt.Errorf("stick: %w", err)
		}
	}
	return s, nil
}

// OpenReader opens the folder for reading only; it may not be there.
func OpenReader(dir string) *Stick { return &Stick{dir, durableDisk{}} }

func (s *Stick) path(name ...string) string {
	return filepath.Join(append([]string{s.dir}, name...)...)
}

// File is a sealed file on a stick, as its name and its content tell.
type File struct {
	// Name without its extension.
	Name string        `json:"name"`
	Host muster.HostID `json:"host"`
	From uint64        `json:"from_seq"`
	To   uint64        `json:"to_seq"`
	// Size in bytes, 0 where only the answer is there.
	Size int64 `json:"size_bytes"`
	// WrittenAt is the stick's word, by two seconds.
	WrittenAt time.Time `json:"written_at,omitzero"`
	// Digest is the SHA-256 of what is there, hex; "" where it cannot be read.
	Digest string `json:"-"`
	// Damaged: it is not what the name tells.
	Damaged bool `json:"damaged,omitempty"`
}

// ID names the file in custody.
func (f *File) ID() string { return f.Digest[:min(len(f.Digest), fileDigits)] }

// Had reports whether the step is one of this file's, also where it was damaged since.
func (f *File) Had(e muster.CustodyEvent) bool {
	return e.Host == f.Host && strings.HasPrefix(e.File, f.Name[len(f.Name)-nameDigits:])
}

// Covers reports whether the number lies in the file's range.
func (f *File) Covers(seq uint64) bool { return f.From <= seq && seq <= f.To }

func newFile(host muster.HostID, from, to uint64, content []byte) File {
	sum := digest(content)
	return File{Name: fmt.Sprintf("%s-%d-%d-%s", host, from, to, sum[:nameDigits]),
		Host: host, From: from, To: to, Size: int64(len(content)), Digest: sum}
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// parseName reads a name without its extension; a stick may have changed its case.
func parseName(name string) (f File, ok bool) {
	parts := strings.Split(strings.ToLower(name), "-")
	if len(parts) != 4 {
		return f, false
	}
	host, err1 := muster.ParseHostID(parts[0])
	from, err2 := strconv.ParseUint(parts[1], 10, 64)
	to, err3 := strconv.ParseUint(parts[2], 10, 64)
	_, err4 := hex.DecodeString(parts[3])
	if errors.Join(err1, err2, err3, err4) != nil || from < 1 || from > to || len(parts[3]) != nameDigits {
		return f, false
	}
	return File{Name: strings.ToLower(name), Host: host, From: from, To: to}, true
}

// list gives the files of a folder that have such names, in order, and how many
// other things are there. A folder that is not there is empty.
func (s *Stick) list(folder, ext string) (files []File, strange int, err error) {
	dir, err := os.Open(s.path(folder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("stick: %w", err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxNames)
	if err != nil && err != io.EOF {
		return nil, 0, fmt.Errorf("stick: list %s: %w", folder, err)
	}
	for _, e := range entries {
		name, isOurs := strings.CutSuffix(strings.ToLower(e.Name()), ext)
		f, ok := parseName(name)
		info, err := os.Lstat(s.path(folder, name+ext)) // by the name that it is read by
		if !isOurs || !ok || err != nil || !info.Mode().IsRegular() {
			if !durable.IsTemp(e.Name()) {
				strange++
			}
			continue
		}
		f.Size, f.WrittenAt = info.Size(), info.ModTime().UTC()
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.From, b.From), cmp.Compare(a.Name, b.Name))
	})
	return files, strange, nil
}

// Outgoing lists the sealed files, each read and compared with its name, and counts
// the things that are none.
func (s *Stick) Outgoing() (files []File, strange int, err error) {
	files, strange, err = s.list(outgoing, sealedExt)
	for i := range files {
		f := &files[i]
		b, err := s.Read(f)
		if err != nil {
			if _, gone := os.Lstat(s.path(outgoing)); gone != nil {
				return nil, 0, err
			}
			f.Damaged = true
			continue
		}
		f.Digest = digest(b)
		f.Damaged = !strings.HasSuffix(f.Name, "-"+f.Digest[:nameDigits])
	}
	return files, strange, err
}

// Read gives the content of a sealed file.
func (s *Stick) Read(f *File) ([]byte, error) {
	b, err := durable.ReadForeign(s.path(outgoing, f.Name+sealedExt), seal.MaxFile)
	if err != nil {
		return nil, fmt.Errorf("stick: %w", err)
	}
	return b, nil
}

// Answer gives what the collector returned for a sealed file; nil where nothing
// is there. With seal.ErrCut it gives what is whole. An answer to another content
// than the file has is none; to a file of Returns any is one, since receipts prove
// themselves.
func (s *Stick) Answer(f *File) (*seal.Return, error) {
	b, err := durable.ReadForeign(s.path(incoming, f.Name+returnExt), seal.MaxReturn)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("stick: %w", err)
	}
	r, err := seal.ReadReturn(b)
	if err != nil {
		err = fmt.Errorf("stick: %s: %w", f.Name+returnExt, err)
	}
	if r != nil && f.Digest != "" && r.File != f.ID() {
		return nil, err
	}
	return r, err
}

// Returns lists the answers for a host, also those whose sealed file is gone.
func (s *Stick) Returns(host muster.HostID) ([]File, error) {
	files, _, err := s.list(incoming, returnExt)
	return slices.DeleteFunc(files, func(f File) bool { return f.Host != host }), err
}

// PutAnswer lays the answer to a sealed file onto the stick.
func (s *Stick) PutAnswer(f *File, content []byte) error {
	if err := s.disk.WriteFile(s.path(incoming, f.Name+returnExt), content, fileMode); err != nil {
		return fmt.Errorf("stick: %w", err)
	}
	return nil
}

// Done removes a sealed file and its answer, which its host has applied. The
// answer goes last: with the sealed file alone it would only come again.
func (s *Stick) Done(f *File) error {
	if err := s.Discard(f); err != nil {
		return err
	}
	if err := s.disk.Remove(s.path(incoming, f.Name+returnExt)); err != nil {
		return fmt.Errorf("stick: %w", err)
	}
	return nil
}

// Discard removes a sealed file that is no good. An answer to it stays.
func (s *Stick) Discard(f *File) error {
	if err := s.disk.Remove(s.path(outgoing, f.Name+sealedExt)); err != nil {
		return fmt.Errorf("stick: %w", err)
	}
	return nil
}

package media

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/durable"
)

// maxFiles bounds the walk over a stick.
const maxFiles = 1 << 17

// Report says what a stick holds against its manifest.
type Report struct {
	// Manifest is nil where its signature is not good, and then nothing else was
	// looked at.
	Manifest *Manifest `json:"manifest"`
	// Signer is the public key (DER) that made the signature.
	Signer []byte `json:"-"`
	// Good counts the files that are as they were signed.
	Good     int       `json:"good"`
	Problems []Problem `json:"problems"`
	// Notes are sentences about what is odd and harmless.
	Notes []string `json:"notes"`
}

// Problem is a file that is not as the state made it.
type Problem struct {
	// Kind is "signature", "missing", "changed", "added", "program" or "unreadable".
	Kind string `json:"kind"`
	// Path from the root of the stick, with slashes.
	Path string `json:"path"`
	// Text is a sentence for people.
	Text string `json:"text"`
}

func (r *Report) problem(kind, path, text string) {
	r.Problems = append(r.Problems, Problem{kind, path, text})
}

// Verify compares the stick with its manifest, if one of the keys (DER) signed it.
// The error is for keys that cannot be used and a stick that cannot be listed.
// What it finds counts only where this program came from elsewhere.
func (s *Stick) Verify(keys [][]byte) (*Report, error) {
	r := &Report{Problems: []Problem{}, Notes: []string{}}
	manifest, err := durable.ReadForeign(s.Path(manifestName), maxManifest)
	if err == nil {
		var signature []byte
		if signature, err = durable.ReadForeign(s.Path(signatureName), 2*maxManifest); err == nil {
			r.Manifest, r.Signer, err = VerifyManifest(manifest, signature, keys)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.problem("signature", Folder+"/"+manifestName, "There is no signed manifest, so nobody vouches for what is on this stick.")
		return r, nil
	case err != nil:
		r.Manifest = nil
		r.problem("signature", Folder+"/"+manifestName, fmt.Sprintf("Nobody vouches for what is on this stick: %v.", err))
		return r, nil
	}
	if err := s.compare(r); err != nil {
		return nil, err
	}
	slices.SortFunc(r.Problems, func(a, b Problem) int { return cmp.Compare(a.Path, b.Path) })
	return r, nil
}

func (s *Stick) compare(r *Report) error {
	listed := map[string]File{fold(Folder + "/" + manifestName): {}, fold(Folder + "/" + signatureName): {}}
	for _, f := range r.Manifest.Files {
		name := Folder + "/" + f.Path
		listed[fold(name)] = f
		switch sum, size, err := s.hash(f); {
		case errors.Is(err, fs.ErrNotExist):
			r.problem("missing", name, "It is missing.")
		case err != nil:
			r.problem("unreadable", name, fmt.Sprintf("It cannot be read: %v.", err))
		case size != f.Size || sum != f.SHA256:
			r.problem("changed", name, "Its content is not what was signed.")
		default:
			r.Good++
		}
	}
	return s.walk(r, listed)
}

// hash reads one byte more than the manifest allows, and no further.
func (s *Stick) hash(f File) (sum muster.Digest, size int64, err error) {
	name := s.Path(filepath.FromSlash(f.Path))
	info, err := os.Lstat(name)
	if err != nil {
		return sum, 0, err
	}
	if !info.Mode().IsRegular() {
		return sum, 0, durable.ErrForeign
	}
	file, err := os.Open(name)
	if err != nil {
		return sum, 0, err
	}
	defer file.Close()
	h := sha256.New()
	size, err = io.Copy(h, io.LimitReader(file, f.Size+1))
	return muster.Digest(h.Sum(nil)), size, err
}

// walk looks for what nobody signed.
func (s *Stick) walk(r *Report, listed map[string]File) error {
	files := 0
	met := map[string]string{}
	return filepath.WalkDir(s.root, func(name string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(s.root, name)
		if relErr != nil {
			return relErr
		}
		rel = filepath.ToSlash(rel)
		if err != nil {
			if name == s.root {
				return fmt.Errorf("list the stick: %w", err)
			}
			r.problem("unreadable", rel, fmt.Sprintf("It cannot be read: %v.", err))
			return nil
		}
		if files++; files > maxFiles {
			return fmt.Errorf("list the stick: it holds more than %d files: use it for nothing but muster", maxFiles)
		}
		if rel != "." {
			if other, ok := met[fold(rel)]; ok {
				r.problem("added", rel, "It differs from "+other+" in case only.")
				return nil
			}
			met[fold(rel)] = rel
		}
		if d.IsDir() {
			return nil
		}
		if f, ok := listed[fold(rel)]; ok {
			if f.Path != "" && rel != Folder+"/"+f.Path {
				r.Notes = append(r.Notes, fmt.Sprintf("%s is written %s/%s in the manifest.", rel, Folder, f.Path))
			}
			return nil
		}
		s.judgeStranger(r, name, rel, d)
		return nil
	})
}

// judgeStranger says what is wrong with a file that nobody signed.
func (s *Stick) judgeStranger(r *Report, name, rel string, d fs.DirEntry) {
	inside, inFolder := strings.CutPrefix(fold(rel), fold(Folder)+"/")
	expected := inFolder && travels(inside) || !inFolder && systemLeftover(rel)
	program, err := false, error(nil)
	if d.Type().IsRegular() {
		program, err = isProgram(name)
	}
	switch {
	case !d.Type().IsRegular():
		r.problem("added", rel, "It is a link or a device, and nobody signed it.")
	case strings.EqualFold(path.Base(rel), "autorun.inf"):
		r.problem("program", rel, "It starts a program when the stick is put in, and nobody signed it.")
	case program:
		r.problem("program", rel, "It is a program, and nobody signed it.")
	case err != nil:
		r.problem("unreadable", rel, fmt.Sprintf("It cannot be read: %v.", err))
	case !expected:
		r.problem("added", rel, "Nobody signed it.")
	}
}

// travels reports whether a path in MUSTER belongs to what changes with every
// journey.
func travels(path string) bool {
	path = fold(path)
	for _, dir := range []string{"hosts", "outgoing", "incoming"} {
		if path == dir || strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return path == "custody.jsonl" || durable.IsTemp(path) && strings.Contains(path, "custody.jsonl")
}

// systemLeftover reports whether operating systems leave it on every stick.
func systemLeftover(rel string) bool {
	top, _, _ := strings.Cut(fold(rel), "/")
	return slices.Contains([]string{"system volume information", "$recycle.bin", ".trashes", ".fseventsd",
		".spotlight-v100", "lost+found"}, top) || strings.HasPrefix(top, ".trash-")
}

// programs by the end of their names: what Windows or a Linux desktop runs, or
// loads into what it runs, on a double click.
var programs = strings.Fields(`.appimage .application .bat .chm .cmd .com .cpl .desktop .dll .exe .hta .img .inf .iso
.jar .js .jse .lnk .msc .msi .msp .pif .ps1 .psm1 .py .reg .scr .sh .sys .url .vbe .vbs .vhd .vhdx .wsf .wsh`)

// isProgram looks at the name and at the first bytes.
func isProgram(name string) (bool, error) {
	if slices.Contains(programs, fold(filepath.Ext(name))) {
		return true, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 4))
	for _, magic := range []string{"MZ", "\x7fELF", "#!"} {
		if strings.HasPrefix(string(head), magic) {
			return true, nil
		}
	}
	return false, err
}

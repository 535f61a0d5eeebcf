package media

import (
	"crypto"
	"crypto/sha256"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/passmuster/muster/internal/durable"
)

// Content is a file to put on a stick.
type Content struct {
	// Path in MUSTER, with slashes.
	Path string
	Data []byte
	// Perm counts where the stick's file system knows it.
	Perm os.FileMode
}

// Write puts the files onto the stick with a manifest that the signer signed, and
// takes away what the manifest before had listed and this one does not. m.Files is
// filled in. Stopped half-way it leaves a stick that does not verify.
func (s *Stick) Write(m Manifest, contents []Content, signer crypto.Signer) (*Manifest, error) {
	m.Schema, m.MadeAt, m.Files = ManifestSchema, m.MadeAt.UTC().Truncate(time.Second), nil
	contents = append(slices.Clone(contents), Content{"README.TXT", []byte(readme), 0o644})
	for _, c := range contents {
		m.Files = append(m.Files, File{c.Path, int64(len(c.Data)), sha256.Sum256(c.Data)})
	}
	text, err := m.Encode()
	if err != nil {
		return nil, err
	}
	signature, err := SignManifest(text, signer)
	if err != nil {
		return nil, err
	}
	if err := s.Straight(s.Dir()); err != nil {
		return nil, err
	}
	if err := s.clear(&m); err != nil {
		return nil, err
	}
	contents = append(contents, Content{manifestName, text, 0o644}, Content{signatureName, signature, 0o644})
	for _, c := range contents {
		name := s.Path(filepath.FromSlash(c.Path))
		if err := durable.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return nil, fmt.Errorf("stick %s: %w", s.root, err)
		}
		if err := durable.WriteFile(name, c.Data, c.Perm); err != nil {
			return nil, fmt.Errorf("stick %s: %w", s.root, err)
		}
	}
	return &m, nil
}

// clear removes the signature, and the files that the new manifest will not list.
func (s *Stick) clear(next *Manifest) error {
	before, err := durable.ReadForeign(s.Path(manifestName), maxManifest)
	stale := []string{signatureName}
	if err == nil {
		if old, err := ParseManifest(before); err == nil {
			for _, f := range old.Files {
				if !slices.ContainsFunc(next.Files, func(n File) bool { return fold(n.Path) == fold(f.Path) }) {
					stale = append(stale, f.Path)
				}
			}
		}
	}
	for _, name := range stale {
		if err := durable.Remove(s.Path(filepath.FromSlash(path.Clean(name)))); err != nil {
			return fmt.Errorf("stick %s: %w", s.root, err)
		}
	}
	return nil
}

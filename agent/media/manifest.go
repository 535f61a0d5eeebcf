package media

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/internal/wire"
)

// ManifestSchema is the number of the manifest's form.
const ManifestSchema = 1

const (
	manifestName  = "manifest.json"
	signatureName = "manifest.sig"
	maxManifest   = 256 << 10 // bytes
	maxPath       = 120       // bytes
)

// Manifest lists every file that the state has put on a stick.
type Manifest struct {
	Schema int       `json:"muster_media"` // ManifestSchema
	MadeAt time.Time `json:"made_at"`      // by the maker's clock, whole seconds
	MadeBy string    `json:"made_by"`      // for people, such as "State of Example"
	// Version of the muster that made it.
	Version string `json:"version"`
	// Policy is the bundle's revision and PolicyVersion its number; "" and 0 where
	// the stick has no bundle.
	Policy        string `json:"policy,omitempty"`
	PolicyVersion int64  `json:"policy_version,omitempty"`
	Files         []File `json:"files"`
}

// File is one line of a manifest.
type File struct {
	// Path in MUSTER, with slashes.
	Path   string        `json:"path"`
	Size   int64         `json:"size_bytes"`
	SHA256 muster.Digest `json:"sha256"`
}

// Encode writes the manifest as ParseManifest reads it.
func (m *Manifest) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the manifest: %w", err)
	}
	if _, err := ParseManifest(b); err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

// ParseManifest reads and checks a manifest: every path lies in MUSTER, can be
// on FAT, and differs from the others in more than case. It believes nothing: see
// VerifyManifest.
func ParseManifest(b []byte) (*Manifest, error) {
	if len(b) > maxManifest {
		return nil, fmt.Errorf("manifest: it is larger than %d bytes", maxManifest)
	}
	var peek struct {
		Schema int `json:"muster_media"`
	}
	if json.Unmarshal(b, &peek) == nil && peek.Schema > ManifestSchema {
		return nil, fmt.Errorf("manifest: a newer muster made it (form %d, this one knows %d): update this program", peek.Schema, ManifestSchema)
	}
	var m Manifest
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	switch {
	case d.More():
		return nil, errors.New("manifest: something follows the JSON object")
	case m.Schema != ManifestSchema:
		return nil, fmt.Errorf("manifest: field muster_media: want %d, found %d", ManifestSchema, m.Schema)
	case len(m.Files) == 0:
		return nil, errors.New("manifest: it lists no files")
	}
	seen := map[string]string{}
	for _, f := range m.Files {
		if err := checkPath(f.Path); err != nil {
			return nil, fmt.Errorf("manifest: path %q: %w", f.Path, err)
		}
		if f.Size < 0 {
			return nil, fmt.Errorf("manifest: path %q: its size is %d", f.Path, f.Size)
		}
		if other, ok := seen[fold(f.Path)]; ok {
			return nil, fmt.Errorf("manifest: paths %q and %q are one file on a stick", other, f.Path)
		}
		seen[fold(f.Path)] = f.Path
	}
	return &m, nil
}

// devices of Windows, without their numbers.
var devices = []string{"con", "prn", "aux", "nul", "com", "lpt", "conin$", "conout$"}

// fold makes names alike that are one name on FAT, of those that checkPath lets by.
func fold(path string) string { return strings.ToLower(path) }

func checkPath(path string) error {
	switch {
	case !fs.ValidPath(path) || path == ".":
		return errors.New("it is no path within the folder")
	case len(path) > maxPath:
		return fmt.Errorf("it is longer than %d bytes", maxPath)
	case travels(path) || path == manifestName || path == signatureName:
		return errors.New("this file changes, so it cannot be listed")
	}
	for _, r := range path {
		if r < ' ' || r > '~' || strings.ContainsRune(`\:*?"<>|`, r) {
			return fmt.Errorf("FAT or another system refuses the character %q", r)
		}
	}
	for name := range strings.SplitSeq(path, "/") {
		if strings.TrimRight(name, ". ") != name {
			return errors.New("the dot or space at the end of a name is lost on Windows")
		}
		if base, _, _ := strings.Cut(fold(name), "."); slices.Contains(devices, strings.TrimRight(base, " 0123456789")) {
			return errors.New("the name is that of a device on Windows")
		}
	}
	return nil
}

// SignManifest signs the bytes of a manifest with a key of the state.
func SignManifest(manifest []byte, signer crypto.Signer) ([]byte, error) {
	id, err := wire.HostIDOf(signer.Public())
	if err != nil {
		return nil, err
	}
	return wire.Sign(wire.KindMedia, manifest, signer, string(id))
}

// VerifyManifest reads a manifest that one of the keys (DER SubjectPublicKeyInfo)
// has signed, and says which.
func VerifyManifest(manifest, signature []byte, keys [][]byte) (m *Manifest, signer []byte, err error) {
	public, err := wire.ParsePublicKeys(keys)
	if err != nil {
		return nil, nil, err
	}
	for i, key := range public {
		if !signedBy(manifest, signature, key) {
			continue
		}
		m, err := ParseManifest(manifest)
		return m, keys[i], err
	}
	return nil, nil, fmt.Errorf("manifest: %w: none of the %d trusted keys made the signature of what lies there", wire.ErrBadSignature, len(keys))
}

func signedBy(manifest, signature []byte, key *ecdsa.PublicKey) bool {
	payload, err := wire.Verify(wire.KindMedia, signature, key)
	return err == nil && bytes.Equal(payload, manifest)
}

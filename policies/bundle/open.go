package bundle

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/util"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies"
)

// Bounds on a bundle, so that a small file cannot become a large one.
const (
	// MaxFiles is the most files that a bundle may hold.
	MaxFiles = policies.MaxFiles
	// MaxBytes is the most bytes that a bundle may hold, uncompressed.
	MaxBytes = policies.MaxBytes
	// MaxRego is the most bytes of Rego that may judge; parsing can take a thousand
	// times that.
	MaxRego = 1 << 20
)

const (
	manifestFile   = ".manifest"
	signaturesFile = ".signatures.json"
	catalogueFile  = "controls.json"
)

var (
	factName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	// safeID is fit for terminals, pages and the Rego that asks the control.
	safeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

var errNoSources = errors.New("no policy files here: want controls/*.rego and facts/*/data.yaml")

// OpenOptions says what a bundle must prove.
type OpenOptions struct {
	// Keys that may have signed, each DER SubjectPublicKeyInfo of a P-256 key.
	Keys [][]byte
	// Unsigned accepts a bundle without a signature. A signature that is there
	// must be good all the same.
	Unsigned bool
	// Agent is the version to hold against the bundle's minimum; "" means muster.Version.
	Agent string
}

// Open reads a packed bundle (tar, gzip) and verifies it. The error wraps
// ErrUnsigned or ErrUntrusted where these apply. An expired bundle opens.
func Open(data []byte, opts OpenOptions) (*Bundle, error) {
	files, err := policies.Unpack(data)
	if err != nil {
		return nil, fmt.Errorf("open policy bundle: %w", err)
	}
	signedBy, err := verify(files, opts)
	if err != nil {
		return nil, fmt.Errorf("open policy bundle: %w", err)
	}
	// What a newer bundle holds may not be readable here: first whom it is for.
	m, err := readManifest(files)
	if err != nil {
		return nil, fmt.Errorf("open policy bundle: %w", err)
	}
	agent := cmp.Or(opts.Agent, muster.Version)
	if least := m.Metadata.Muster.MinAgent; olderThan(agent, least) {
		return nil, fmt.Errorf("open policy bundle: it needs muster %s or newer, this is %s: update muster", least, agent)
	}
	b, err := load(files)
	if err != nil {
		return nil, fmt.Errorf("open policy bundle: %w", err)
	}
	b.Signed, b.SignedBy = signedBy != "", signedBy
	return b, nil
}

// OpenDir reads the sources of a bundle from a folder, unsigned.
func OpenDir(fsys fs.FS) (*Bundle, error) {
	files, err := sources(fsys, false)
	if err != nil {
		return nil, fmt.Errorf("open policy folder: %w", err)
	}
	delete(files, catalogueFile) // may be behind the Rego that it was made from
	b, err := load(files)
	if err != nil {
		return nil, fmt.Errorf("open policy folder: %w", err)
	}
	return b, nil
}

// Embedded opens the baseline that this program was built with.
func Embedded() (*Bundle, error) {
	files, err := sources(policies.FS(), false)
	if err != nil {
		return nil, fmt.Errorf("open built-in baseline: %w", err)
	}
	b, err := load(files)
	if err != nil {
		return nil, fmt.Errorf("open built-in baseline: %w", err)
	}
	b.Revision = "builtin-" + muster.Version
	return b, nil
}

// sources reads a folder; tests of policies are included where asked for.
func sources(fsys fs.FS, tests bool) (map[string][]byte, error) {
	files := map[string][]byte{}
	total := 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		test := isTest(name)
		if d.IsDir() || !belongs(name) || test && !tests {
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		files[name] = data
		if total += len(data); total > MaxBytes || len(files) > MaxFiles {
			return fmt.Errorf("more than %d files or %d bytes", MaxFiles, MaxBytes)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errNoSources
	}
	return files, nil
}

// belongs tells the files of a bundle from what else lies in a folder.
func belongs(name string) bool {
	return name == manifestFile || name == catalogueFile || path.Ext(name) == ".rego" || isData(name)
}

func isData(name string) bool {
	switch path.Base(name) {
	case "data.json", "data.yaml", "data.yml":
		return true
	}
	return false
}

// manifest is what .manifest tells us; OPA's own fields but revision are left to OPA.
type manifest struct {
	Revision string `json:"revision"`
	Rego     int    `json:"rego_version,omitempty"`
	Metadata struct {
		Muster release `json:"muster"`
	} `json:"metadata"`
}

type release struct {
	Version  int64     `json:"version"`
	Created  time.Time `json:"created,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	MinAgent string    `json:"min_agent,omitempty"`
}

// readManifest reads .manifest, which sources lack.
func readManifest(files map[string][]byte) (m manifest, err error) {
	text, ok := files[manifestFile]
	if !ok {
		return m, nil
	}
	var v any
	if err = util.Unmarshal(text, &v); err == nil {
		err = reshape(v, &m)
	}
	if r := m.Metadata.Muster; err == nil && r.Version < 0 {
		err = fmt.Errorf("version %d is below 0", r.Version)
	}
	if err != nil {
		return m, fmt.Errorf("read %s: %w", manifestFile, err)
	}
	return m, nil
}

func load(files map[string][]byte) (*Bundle, error) {
	m, err := readManifest(files)
	if err != nil {
		return nil, err
	}
	r := m.Metadata.Muster
	b := &Bundle{
		Revision: m.Revision, Version: r.Version, Created: r.Created, Expires: r.Expires, MinAgent: r.MinAgent,
		Digest: policies.Digest(files), Modules: map[string][]byte{}, data: map[string]any{},
	}
	rego := 0
	for _, name := range slices.Sorted(maps.Keys(files)) {
		switch {
		case path.Ext(name) == ".rego" && !isTest(name):
			if rego += len(files[name]); rego > MaxRego {
				return nil, fmt.Errorf("read %s: the bundle has more than %d bytes of Rego: put data into lists", name, MaxRego)
			}
			b.Modules[name] = files[name]
		case isData(name):
			var v any
			if err := util.Unmarshal(files[name], &v); err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
			if err := policies.Graft(b.data, path.Dir(name), v); err != nil {
				return nil, fmt.Errorf("read %s: %w", name, err)
			}
		}
	}
	return b, b.read(files[catalogueFile])
}

// read turns the data documents that have a meaning here into types, and checks
// that the parts of the bundle know each other.
func (b *Bundle) read(catalogue []byte) (err error) {
	if b.freshness, err = parseFreshness(b.data["freshness"]); err != nil {
		return err
	}
	lists, ok := b.data["lists"].(map[string]any)
	if !ok && b.data["lists"] != nil {
		return errors.New("read lists: want an object of list names")
	}
	if b.Lists, err = parseLists(lists, b.freshness); err != nil {
		return err
	}
	if err := b.readFacts(b.data["facts"]); err != nil {
		return err
	}
	if err := b.readExceptions(); err != nil {
		return err
	}
	if catalogue != nil {
		if err := json.Unmarshal(catalogue, &b.Controls); err != nil {
			return fmt.Errorf("read %s: %w", catalogueFile, err)
		}
	} else if b.Controls, err = annotated(b.Modules); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, c := range b.Controls {
		if !safeID.MatchString(c.ID) {
			return fmt.Errorf("control %q: want an id of letters, digits, dots and dashes, such as MVS-ENC-01", c.ID)
		}
		if seen[c.ID] {
			return fmt.Errorf("control %q is there twice", c.ID)
		}
		seen[c.ID] = true
		for _, name := range append(slices.Concat(c.Facts...), c.Also...) {
			if _, ok := b.Facts[name]; !ok {
				return fmt.Errorf("control %s asks for fact %q, which the bundle does not have: add it to a data.yaml in facts/", c.ID, name)
			}
		}
	}
	return b.readLayers()
}

// readFacts reads area: {name: {windows: SQL, linux: SQL}}. Areas are for people;
// a name is there once.
func (b *Bundle) readFacts(v any) error {
	var areas map[string]map[string]map[muster.Platform]string
	if err := reshape(v, &areas); err != nil {
		return fmt.Errorf("read facts: want facts/<area>/data.yaml with name: {windows: SQL, linux: SQL}: %w", err)
	}
	b.Facts, b.areas = map[string]muster.Fact{}, map[string]string{}
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		for name, sql := range areas[area] {
			if other, twice := b.areas[name]; twice {
				return fmt.Errorf("read facts: %s is in %s and in %s: keep one", name, other, area)
			}
			if err := checkFact(name, sql); err != nil {
				return err
			}
			b.Facts[name], b.areas[name] = muster.Fact{Name: name, SQL: sql}, area
		}
	}
	return nil
}

func checkFact(name string, sql map[muster.Platform]string) error {
	if !factName.MatchString(name) {
		return fmt.Errorf("read facts: %q is no name for a fact: use lower-case letters, digits and _", name)
	}
	for platform, statement := range sql {
		if platform != muster.Windows && platform != muster.Linux {
			return fmt.Errorf("read fact %s: platform %q is not known: use windows or linux", name, platform)
		}
		if strings.TrimSpace(statement) == "" {
			return fmt.Errorf("read fact %s: the statement for %s is empty: leave it out", name, platform)
		}
	}
	return nil
}

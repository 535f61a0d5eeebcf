package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// BuildOptions is what the manifest says about a release.
type BuildOptions struct {
	// Version must be higher than that of the release before.
	Version  int64
	Revision string // "" becomes the version number
	Created  time.Time
	Expires  time.Time // zero means never
	MinAgent string    // "" means any
}

// Build packs the sources in fsys into an unsigned bundle, tests left out. The
// same sources and options give the same bytes.
func Build(fsys fs.FS, opts BuildOptions) ([]byte, error) {
	if opts.Version < 1 {
		return nil, fmt.Errorf("build policy bundle: version %d: give a number from 1, higher than the last one", opts.Version)
	}
	files, b, err := assemble(fsys)
	if err != nil {
		return nil, fmt.Errorf("build policy bundle: %w", err)
	}
	if p := b.checkExceptions(b.hasControl); p != nil {
		return nil, fmt.Errorf("build policy bundle: %s", p[0])
	}
	m := manifest{Revision: opts.Revision, Rego: 1}
	if m.Revision == "" {
		m.Revision = strconv.FormatInt(opts.Version, 10)
	}
	m.Metadata.Muster = release{opts.Version, opts.Created.UTC(), opts.Expires.UTC(), opts.MinAgent}
	if files[manifestFile], err = json.Marshal(m); err != nil {
		return nil, fmt.Errorf("build policy bundle: %w", err)
	}
	return pack(files)
}

// Files gives what a bundle of the sources in fsys would hold, but the manifest.
func Files(fsys fs.FS) (map[string][]byte, error) {
	files, _, err := assemble(fsys)
	if err != nil {
		return nil, fmt.Errorf("read policy folder: %w", err)
	}
	return files, nil
}

// assemble reads sources and adds the catalogue.
func assemble(fsys fs.FS) (map[string][]byte, *Bundle, error) {
	files, err := sources(fsys, false)
	if err != nil {
		return nil, nil, err
	}
	delete(files, manifestFile)
	delete(files, catalogueFile) // may be behind the Rego that it was made from
	b, err := load(files)
	if err != nil {
		return nil, nil, err
	}
	files[catalogueFile], err = marshalCatalogue(b.Controls)
	return files, b, err
}

// pack writes the files in order, without times or owners.
func pack(files map[string][]byte) ([]byte, error) {
	var buf bytes.Buffer
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	tw := tar.NewWriter(zw)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Format: tar.FormatUSTAR}
		if err := tw.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := tw.Write(files[name]); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := tw.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if err := zw.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return buf.Bytes(), nil
}

// olderThan compares dotted versions. A development build is never too old: one whose
// version is a commit, or where no tag gave a number.
func olderThan(version, minimum string) bool {
	n := numbers(version)
	if minimum == "" || len(n) < 3 || n[0] == 0 && n[1] == 0 {
		return false
	}
	return slices.Compare(n, numbers(minimum)) < 0
}

func numbers(version string) (n []int) {
	release, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	for part := range strings.SplitSeq(release, ".") {
		i, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		n = append(n, i)
	}
	return n
}

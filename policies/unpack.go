package policies

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds on a bundle, so that a small file cannot become a large one.
const (
	// MaxFiles is the most files that a bundle may hold.
	MaxFiles = 2_000
	// MaxBytes is the most bytes that a bundle may hold, uncompressed.
	MaxBytes = 8 << 20
)

// Unpack reads a packed bundle (tar, gzip) into its files by name, within the
// bounds. It verifies no signature.
func Unpack(data []byte) (map[string][]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf(garbled, err)
	}
	left := &io.LimitedReader{R: zr, N: MaxBytes + 1}
	files, err := untar(left)
	if left.N <= 0 || len(files) > MaxFiles {
		return nil, fmt.Errorf("it unpacks to more than %d files or %d bytes", MaxFiles, MaxBytes)
	}
	return files, err
}

const garbled = "this is no policy bundle, or only part of one: copy it again: %w"

func untar(r io.Reader) (map[string][]byte, error) {
	tr := tar.NewReader(r)
	files := map[string][]byte{}
	for len(files) <= MaxFiles {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf(garbled, err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		name := strings.TrimPrefix(h.Name, "/")
		if h.Typeflag != tar.TypeReg || !fs.ValidPath(name) {
			return nil, fmt.Errorf("it holds %q, which is no plain file", h.Name)
		}
		if _, twice := files[name]; twice {
			return nil, fmt.Errorf("it holds %s twice", name)
		}
		if files[name], err = io.ReadAll(tr); err != nil {
			return nil, fmt.Errorf(garbled, err)
		}
	}
	// The checksum of the whole comes after the last file.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, fmt.Errorf(garbled, err)
	}
	return files, nil
}

// ParseData reads a data file of a bundle, YAML or JSON, into v. It refuses aliases, by
// which a few bytes stand for gigabytes.
func ParseData(text []byte, v any) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || doc.IsZero() {
		return err
	}
	if line := aliased(&doc); line > 0 {
		return fmt.Errorf("line %d uses a YAML alias: write out what it stands for", line)
	}
	return doc.Decode(v)
}

// aliased is the line of the first alias; 0 where there is none.
func aliased(n *yaml.Node) int {
	if n.Kind == yaml.AliasNode {
		return n.Line
	}
	for _, c := range n.Content {
		if line := aliased(c); line > 0 {
			return line
		}
	}
	return 0
}

// Graft puts a data file's value where its folder says, as OPA does.
func Graft(root map[string]any, dir string, v any) error {
	if dir == "." {
		m, ok := v.(map[string]any)
		if !ok {
			return errors.New("the data file at the top must hold an object")
		}
		maps.Copy(root, m)
		return nil
	}
	steps := strings.Split(dir, "/")
	for _, step := range steps[:len(steps)-1] {
		next, ok := root[step].(map[string]any)
		if !ok {
			if root[step] != nil {
				return fmt.Errorf("%s is both a value and a folder", step)
			}
			next = map[string]any{}
			root[step] = next
		}
		root = next
	}
	last := steps[len(steps)-1]
	if root[last] != nil {
		return fmt.Errorf("%s is given twice", dir)
	}
	root[last] = v
	return nil
}

package policies

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/passmuster/muster"
)

// Facts reads what hosts are asked from the files of a bundle, by name, to be
// shown. It verifies nothing.
func Facts(files map[string][]byte) (map[string]muster.Fact, error) {
	all := map[string]muster.Fact{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if dir, file := path.Split(name); !strings.HasPrefix(dir, "facts/") || !strings.HasPrefix(file, "data.") {
			continue
		}
		var facts map[string]map[muster.Platform]string
		if err := ParseData(files[name], &facts); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		for name, sql := range facts {
			all[name] = muster.Fact{Name: name, SQL: sql}
		}
	}
	return all, nil
}

// EmbeddedFacts are those of the baseline.
func EmbeddedFacts() map[string]muster.Fact {
	files, err := embedded("facts")
	facts, failed := Facts(files)
	if err != nil || failed != nil {
		return nil // cannot happen: the files are embedded and tested
	}
	return facts
}

// embedded are the sources in a folder.
func embedded(folder string) (map[string][]byte, error) {
	files := map[string][]byte{}
	return files, fs.WalkDir(sources, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[name], err = sources.ReadFile(name)
		return err
	})
}

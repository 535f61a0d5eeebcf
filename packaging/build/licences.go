package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/google/licenseclassifier/v2/assets"
)

// accepted are the licences that may be in a program, by the classifier's name, with
// that of SPDX. A module with another one fails the build.
var accepted = map[string]string{
	"Apache-2.0":                         "Apache-2.0",
	"BSD-2-Clause":                       "BSD-2-Clause",
	"BSD-3-Clause":                       "BSD-3-Clause",
	"GNU-All-permissive-Copying-License": "FSFAP",
	"ISC":                                "ISC",
	"MIT":                                "MIT",
	"MPL-2.0":                            "MPL-2.0", // its files are unchanged, and the notices say where they are
	"Unlicense":                          "Unlicense",
}

// read are licences that a person has read because the classifier does not know them,
// with the SPDX name.
var read = map[string]string{
	"modernc.org/libc/LICENSE-3RD-PARTY.md":   "MIT", // of musl
	"modernc.org/memory/LICENSE-LOGO":         "",    // where a picture came from, which no program has
	"modernc.org/sqlite/LICENSE-3RD-PARTY.md": "MIT", // of musl; the rest is for its tests
	"modernc.org/sqlite/LICENSE-SQLITE":       "blessing",
}

// data is what programs hold of others that is no Go module.
var data = []struct {
	programs            []string
	name, version, purl string
	id, text            string
}{
	{
		[]string{"muster-collector", "muster"}, "us-atlas", "3.0.1", "pkg:npm/us-atlas@3.0.1", "ISC",
		"The names and boundaries of counties are those of the United States Census Bureau's 2017\ncartographic boundary files (public domain), taken from the npm package us-atlas:\n\n" + isc,
	},
	{
		[]string{"muster"}, "osquery", "5.23.1", "pkg:github/osquery/osquery@5.23.1", "Apache-2.0",
		"The names of tables and columns that a computer can be asked for are those of osquery,\nCopyright (c) 2014-present, The osquery authors, who offer them under Apache-2.0.\n",
	},
}

const isc = `Copyright 2013-2019 Michael Bostock

Permission to use, copy, modify, and/or distribute this software for any purpose
with or without fee is hereby granted, provided that the above copyright notice
and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT,
INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS
OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER
TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF
THIS SOFTWARE.
`

// terms are those under which a module may be handed on.
type terms struct {
	module, version string
	ids             []string // SPDX, sorted
	files           []string // paths of licences and notices, sorted
}

// terms gives those of Go, and then of every module of which something is linked into
// the programs. It looks at the top of a module and above each package that is linked.
func (r *release) terms(ctx context.Context, goos string, programs ...string) ([]terms, error) {
	said, err := r.golang(ctx, goos, "env", "GOROOT", "GOVERSION")
	if err != nil {
		return nil, err
	}
	root, version, _ := strings.Cut(said, "\n")
	std, err := readTerms("std", strings.TrimPrefix(version, "go"), root, nil)
	if err != nil {
		return nil, err
	}
	linked := map[pkg]map[string]bool{} // packages of modules, by Dir
	for _, program := range programs {
		tags, err := r.tags(program)
		if err != nil {
			return nil, err
		}
		list, err := r.golang(ctx, goos, "list", "-deps", "-tags", tags, "-json=Dir,Module", "./cmd/"+program)
		if err != nil {
			return nil, err
		}
		for d := json.NewDecoder(strings.NewReader(list)); ; {
			var p struct {
				Dir    string
				Module *struct {
					pkg
					Main bool
				}
			}
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("read the packages of %s: %w", program, err)
			}
			if p.Module == nil || p.Module.Main {
				continue
			}
			if linked[p.Module.pkg] == nil {
				linked[p.Module.pkg] = map[string]bool{}
			}
			for dir := p.Dir; len(dir) > len(p.Module.Dir); dir = filepath.Dir(dir) {
				linked[p.Module.pkg][dir] = true
			}
		}
	}
	all := []terms{*std}
	for _, m := range slices.SortedFunc(maps.Keys(linked), func(a, b pkg) int { return cmp.Compare(a.Path, b.Path) }) {
		t, err := readTerms(m.Path, m.Version, m.Dir, slices.Sorted(maps.Keys(linked[m])))
		if err != nil {
			return nil, err
		}
		all = append(all, *t)
	}
	return all, nil
}

// pkg is what go list says of a module.
type pkg struct{ Path, Version, Dir string }

// classify knows all licences that there are, so that none passes for an accepted one
// that is like it, or hides in one file with it. It takes a while to load.
var classify = sync.OnceValues(assets.DefaultClassifier)

var (
	licence = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)([-._].*)?$`)
	notice  = regexp.MustCompile(`(?i)^(notice|patents|copyright)([-._].*)?$`)
	source  = regexp.MustCompile(`\.(go|s|json)$`)
)

func readTerms(module, version, top string, below []string) (*terms, error) {
	t := &terms{module: module, version: version}
	for _, dir := range append([]string{top}, below...) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("licences of %s: %w", module, err)
		}
		for _, e := range entries {
			name := e.Name()
			path := filepath.Join(dir, name)
			if !e.Type().IsRegular() || source.MatchString(name) {
				continue
			}
			if notice.MatchString(name) {
				t.files = append(t.files, path)
			}
			if !licence.MatchString(name) {
				continue
			}
			id, known := read[module+"/"+name]
			if known && id == "" {
				continue
			}
			ids := []string{id}
			if !known {
				if ids, err = names(path); err != nil {
					return nil, fmt.Errorf("licences of %s: %w", module, err)
				}
			}
			if len(ids) == 0 {
				return nil, fmt.Errorf("module %s: the licence in %s is none that programs may have: read it, then add it to packaging/build/licences.go or do without the module", module, path)
			}
			t.ids = append(t.ids, ids...)
			t.files = append(t.files, path)
		}
	}
	if len(t.ids) == 0 {
		return nil, fmt.Errorf("module %s has no licence in %s: nobody may hand it on", module, top)
	}
	slices.Sort(t.ids)
	t.ids = slices.Compact(t.ids)
	return t, nil
}

// names gives the SPDX names of the licences in a file; none where one is not accepted.
func names(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := classify()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, m := range c.Match(text).Matches {
		if m.MatchType == "Copyright" {
			continue
		}
		id := accepted[m.Name]
		if id == "" {
			return nil, nil
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// notices is THIRD-PARTY-NOTICES.txt for a package with these programs: the terms of
// Go, of every module that is linked, and of what else others made.
func (r *release) notices(ctx context.Context, goos string, programs ...string) ([]byte, error) {
	all, err := r.terms(ctx, goos, programs...)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, opening, strings.Join(programs, " and "), r.version)
	for _, t := range all {
		fmt.Fprintf(&b, "%s %s: %s\n", t.module, t.version, strings.Join(t.ids, " AND "))
	}
	for _, d := range data {
		if slices.ContainsFunc(programs, func(p string) bool { return slices.Contains(d.programs, p) }) {
			fmt.Fprintf(&b, "\n%s\n%s %s\n\n%s", line, d.name, d.version, d.text)
		}
	}
	users := map[string][]string{} // of a text
	var texts []string
	for _, t := range all {
		for _, path := range t.files {
			raw, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			text := strings.TrimSpace(strings.ReplaceAll(string(raw), "\r\n", "\n"))
			if users[text] == nil {
				texts = append(texts, text)
			}
			users[text] = append(users[text], fmt.Sprintf("%s %s: %s", t.module, t.version, filepath.Base(path)))
		}
	}
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", line, strings.Join(users[text], "\n"), text)
	}
	return b.Bytes(), nil
}

const opening = `What others made in %s %s

Muster itself is licensed under Apache-2.0. It contains the work of others, unchanged,
listed here with the terms under which they allow it; std is the library of Go. The
source of each is at https://proxy.golang.org, path MODULE/@v/VERSION.zip, and comes
with "go mod download MODULE@VERSION".

`

var line = strings.Repeat("=", 80)

package builtin

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// aptSources are the archives that apt takes packages from, one-line and
// deb822; those of sources only and switched-off ones are left out. What the
// archive says of itself (release, version, maintainer…) comes from its file in
// apt's lists; osquery leaves out an archive that has none yet. A name and
// password in the address are dropped. A host without apt is unavailable. Anybody may
// read it; packages of other kinds (snap, flatpak) are not seen.
func (h host) aptSources() facts.Table {
	return facts.Table{
		Name: "apt_sources", Platforms: onLinux, Whole: true, Source: "/etc/apt", Preferred: true,
		Columns: columns(`name text, source text, base_uri text, release text, version text, maintainer text,
			components text, architectures text`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			if !h.exists("/etc/apt") {
				return nil, fmt.Errorf("no apt here: %w", facts.ErrUnavailable)
			}
			suites, err := h.aptSuites()
			if err != nil {
				return nil, err
			}
			releases, err := h.aptReleases()
			var rows []muster.Row
			for _, s := range suites {
				rows = append(rows, s.row(releases))
			}
			return rows, err
		}),
	}
}

// aptSuites are the suites that the files of sources name.
func (h host) aptSuites() ([]aptSource, error) {
	const folder = "/etc/apt/sources.list.d/"
	names, err := h.dir(folder)
	if err != nil {
		return nil, err
	}
	files := []string{"/etc/apt/sources.list"}
	for _, name := range names {
		files = append(files, folder+name)
	}
	var suites []aptSource
	for _, file := range files {
		parse := map[string]func(string) []aptSource{".list": parseSourcesList, ".sources": parseDeb822Sources}[filepath.Ext(file)]
		if parse == nil {
			continue
		}
		text, err := h.textIfAny(file)
		if err != nil {
			return nil, err
		}
		for _, s := range parse(text) {
			s.file = file
			suites = append(suites, s)
		}
	}
	return suites, nil
}

// aptSource is one suite of one archive.
type aptSource struct{ uri, suite, file string }

func (s aptSource) row(releases map[string]aptRelease) muster.Row {
	address := s.address()
	scheme, _, _ := strings.Cut(s.uri, ":")
	base := scheme + "://" + address
	if !strings.Contains(s.uri, "://") {
		base = scheme + ":" + address
	}
	release := releases[s.listName()]
	return muster.Row{"name": address + " " + s.suite, "source": s.file, "base_uri": base, "release": release["Codename"],
		"version": release["Version"], "maintainer": release["Origin"], "components": release["Components"],
		"architectures": release["Architectures"]}
}

// address is the URI without scheme, user and last slashes.
func (s aptSource) address() string {
	_, address, ok := strings.Cut(s.uri, "://")
	if !ok {
		_, address, _ = strings.Cut(s.uri, ":")
	}
	authority, path, more := strings.Cut(address, "/")
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if more {
		authority += "/" + path
	}
	return strings.TrimRight(authority, "/")
}

// listName is what the names of the archive's files in apt's lists begin with.
func (s aptSource) listName() string {
	if suite, flat := strings.CutSuffix(s.suite, "/"); flat {
		return aptListName(strings.TrimRight(s.address()+"/"+strings.Trim(suite, "/"), "/"))
	}
	return aptListName(s.address() + "/dists/" + s.suite)
}

// aptListName is how apt names the file of an address in its lists.
func aptListName(address string) string {
	var b strings.Builder
	for _, c := range []byte(address) {
		switch {
		case c == '/':
			b.WriteByte('_')
		case c <= ' ' || c > '~' || strings.IndexByte("\\|{}[]<>\"^~_=!@#$%^&*", c) >= 0:
			fmt.Fprintf(&b, "%%%02x", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// parseSourcesList reads lines such as "deb [arch=amd64] http://… bookworm main".
func parseSourcesList(text string) []aptSource {
	var sources []aptSource
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		kind, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		if kind != "deb" {
			continue
		}
		if rest = strings.TrimSpace(rest); strings.HasPrefix(rest, "[") {
			_, rest, _ = strings.Cut(rest, "]")
		}
		// The label of a disc has spaces: cdrom:[Debian 12]/.
		label := ""
		if before, after, ok := strings.Cut(rest, "["); ok && !strings.Contains(strings.TrimSpace(before), " ") {
			if inside, end, ok := strings.Cut(after, "]"); ok {
				label = strings.TrimSpace(before) + "[" + inside + "]"
				rest = end
			}
		}
		if f := strings.Fields(rest); len(f) >= 2 && strings.Contains(label+f[0], ":") {
			sources = append(sources, aptSource{uri: label + f[0], suite: f[1]})
		}
	}
	return sources
}

// parseDeb822Sources reads the paragraphs of a .sources file.
func parseDeb822Sources(text string) []aptSource {
	var sources []aptSource
	for p := range deb822(text) {
		off := slices.Contains([]string{"no", "false", "without", "off", "disable", "0"}, strings.ToLower(p["enabled"]))
		if off || !slices.Contains(strings.Fields(p["types"]), "deb") {
			continue
		}
		for _, uri := range strings.Fields(p["uris"]) {
			for _, suite := range strings.Fields(p["suites"]) {
				if strings.Contains(uri, ":") {
					sources = append(sources, aptSource{uri: uri, suite: suite})
				}
			}
		}
	}
	return sources
}

// deb822 gives the paragraphs of a file: keys in lower case, the lines of a
// value joined by spaces. Lines that begin with # are comments.
func deb822(text string) func(yield func(map[string]string) bool) {
	return func(yield func(map[string]string) bool) {
		p, key := map[string]string{}, ""
		for line := range strings.Lines(text + "\n\n") {
			value := strings.TrimSpace(line)
			switch {
			case line[0] == '#':
			case value == "":
				if len(p) > 0 && !yield(p) {
					return
				}
				p, key = map[string]string{}, ""
			case line[0] == ' ' || line[0] == '\t':
				if key != "" {
					p[key] = strings.TrimSpace(p[key] + " " + value)
				}
			default:
				name, rest, ok := strings.Cut(value, ":")
				if key = ""; ok {
					key = strings.ToLower(strings.TrimSpace(name))
					p[key] = strings.TrimSpace(rest)
				}
			}
		}
	}
}

const aptLists = "/var/lib/apt/lists/"

// aptRelease is what an archive says of itself.
type aptRelease map[string]string

// aptReleases reads the Release and InRelease files of apt's lists, under the
// name that they share with the archive's other files.
func (h host) aptReleases() (map[string]aptRelease, error) {
	names, err := h.dir(aptLists)
	if err != nil {
		return nil, err
	}
	releases := map[string]aptRelease{}
	for _, name := range names {
		archive, ok := strings.CutSuffix(name, "_InRelease")
		if !ok {
			archive, ok = strings.CutSuffix(name, "_Release")
		}
		if !ok {
			continue
		}
		text, err := h.textIfAny(aptLists + name)
		if err != nil {
			return nil, err
		}
		releases[archive] = parseRelease(text)
	}
	return releases, nil
}

// parseRelease reads the head of a Release file, up to its digests, whether it
// is signed in itself or not.
func parseRelease(text string) aptRelease {
	release := aptRelease{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if key == "SHA256" || key == "MD5Sum" {
			break
		}
		if value = strings.TrimSpace(value); ok && key != "Hash" && line[0] != ' ' {
			release[key] = value
		}
	}
	return release
}

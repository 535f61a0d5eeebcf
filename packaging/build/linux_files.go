package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goreleaser/nfpm/v2/files"
)

// made collects the files of a package that are generated, in a folder.
type made struct {
	r    *release
	dir  string
	list files.Contents
}

// put adds a file for deb or rpm, or for both with "".
func (m *made) put(path string, mode fs.FileMode, format string, content []byte) error {
	src := filepath.Join(m.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(src), 0o755); err != nil {
		return err
	}
	m.list = append(m.list, &files.Content{Source: src, Destination: path, Packager: format, FileInfo: m.r.fileInfo(mode)})
	return os.WriteFile(src, content, 0o644)
}

// shells are where the completions for each shell belong; * is the program's name.
var shells = []struct{ shell, path, format string }{
	{"bash", "/usr/share/bash-completion/completions/*", ""},
	{"fish", "/usr/share/fish/vendor_completions.d/*.fish", ""},
	{"zsh", "/usr/share/zsh/vendor-completions/_*", "deb"},
	{"zsh", "/usr/share/zsh/site-functions/_*", "rpm"},
}

// generate makes what a package has beside the files of the repository: programs, and
// from them manual pages and completions; then what the law and Debian want.
func (r *release) generate(ctx context.Context, name string, programs []manual) (files.Contents, error) {
	m := &made{r: r, dir: filepath.Join(r.out, ".linux", name)}
	if err := os.RemoveAll(m.dir); err != nil {
		return nil, err
	}
	var errs []error
	put := func(path string, content []byte, err error) {
		if err == nil {
			err = m.put(path, 0o644, "", content)
		}
		errs = append(errs, err)
	}
	var names []string
	for _, p := range programs {
		names = append(names, p.name)
		path, err := r.program(ctx, p.name, "linux")
		if err != nil {
			return nil, err
		}
		m.list = append(m.list, &files.Content{Source: path, Destination: "/usr/bin/" + p.name, FileInfo: r.fileInfo(0o755)})
		ask := func(args ...string) (string, error) { return r.run(ctx, nil, path, args...) }
		pages, err := p.pages(ask, r)
		if err != nil {
			return nil, err
		}
		for _, page := range pages {
			content, err := packed(page.text)
			put(fmt.Sprintf("/usr/share/man/man%d/%s.%[1]d.gz", p.section, page.name), content, err)
		}
		for _, s := range shells {
			text, err := ask("completion", s.shell)
			if err != nil {
				return nil, err
			}
			errs = append(errs, m.put(strings.ReplaceAll(s.path, "*", p.name), 0o644, s.format, []byte(text+"\n")))
		}
	}
	docs := "/usr/share/doc/" + name + "/"
	notices, err := r.notices(ctx, "linux", names...)
	if err == nil {
		notices, err = packed(notices)
	}
	put(docs+"THIRD-PARTY-NOTICES.txt.gz", notices, err)
	put(docs+"copyright", fmt.Appendf(nil, copyright, homepage), nil)
	changes, err := os.ReadFile(filepath.Join(r.root, "CHANGELOG.md"))
	if err != nil {
		return nil, err
	}
	log, err := packed(r.debianLog(name, string(changes)))
	if err != nil {
		return nil, err
	}
	errs = append(errs, m.put(docs+"changelog.gz", 0o644, "deb", log))
	if name == "muster-collector" {
		sample, err := os.ReadFile(filepath.Join(r.root, "collector", "settings", "sample.yaml"))
		if err != nil {
			return nil, err
		}
		config, err := packagedConfig(string(sample))
		put("/etc/muster-collector/config.yaml", []byte(config), err)
		m.list[len(m.list)-1].Type = files.TypeConfigNoReplace
	}
	return m.list, errors.Join(errs...)
}

// packed is a file as gzip -9n makes it.
func packed(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// packagedConfig is the explained configuration with the folder of a packaged
// collector, in which it may also delete the auth key.
func packagedConfig(sample string) (string, error) {
	for _, c := range []struct{ from, to string }{
		{"\n#data: muster-data\n", "\ndata: /var/lib/muster-collector\n"},
		{"#  auth_key_file: /etc/muster-collector/auth-key ", "#  auth_key_file: /var/lib/muster-collector/auth-key "},
	} {
		if strings.Count(sample, c.from) != 1 {
			return "", fmt.Errorf("the explained configuration no longer says %q: correct packaging/build/linux_files.go", c.from)
		}
		sample = strings.Replace(sample, c.from, c.to, 1)
	}
	return sample, nil
}

var (
	logSection = regexp.MustCompile(`(?ms)^## (\S+)[^\n]*\n(.*?)(\n## |\z)`)
	logEntry   = regexp.MustCompile(`(?m)^- (?:\[\w+\] )?(.*(?:\n  .*)*)`)
)

// debianLog is what the newest section of CHANGELOG.md says, in Debian's form.
func (r *release) debianLog(name, changes string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s (%s) stable; urgency=medium\n\n", name, debVersion(r.version))
	if section := logSection.FindStringSubmatch(changes); section != nil {
		for _, e := range logEntry.FindAllStringSubmatch(section[2], -1) {
			b.WriteString(wrapped("  * ", strings.Fields(e[1])))
		}
	} else {
		fmt.Fprintf(&b, "  * Release %s.\n", r.version)
	}
	fmt.Fprintf(&b, "\n -- %s  %s\n", maintainer, r.time.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	return b.Bytes()
}

// wrapped are words in lines of Debian's length, the first with a lead.
func wrapped(lead string, words []string) string {
	var b strings.Builder
	line := lead
	for _, w := range words {
		if len(line)+len(w) > 78 && line != lead {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = strings.Repeat(" ", len(lead))
		}
		line += w + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
	return b.String()
}

// debVersion is a version as Debian sorts it: what comes before a release has a tilde.
func debVersion(version string) string { return strings.Replace(version, "-", "~", 1) }

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Muster
Source: %s

Files: *
Copyright: 2026 The Muster authors
License: Apache-2.0
Comment: The programs contain the work of others. THIRD-PARTY-NOTICES.txt.gz beside
 this file lists it, with the terms.

License: Apache-2.0
 On Debian systems the whole text of this licence is in
 /usr/share/common-licenses/Apache-2.0.
`

package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const dpkgFolder = "/var/lib/dpkg"

// debPackages are the packages that dpkg knows, also removed ones whose
// settings remain (see status). Without dpkg the table is unavailable; osquery
// has no rows then, as if nothing were installed.
func (h host) debPackages() facts.Table {
	return facts.Table{
		Name: "deb_packages", Platforms: onLinux, Whole: true, Source: "dpkg status", Preferred: true,
		Columns: columns(`name text, version text, source text, size bigint, arch text, revision text, status text,
			maintainer text, section text, priority text, admindir text`),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			text, err := h.text(dpkgFolder + "/status")
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("no dpkg here: %w", facts.ErrUnavailable)
			}
			if err != nil {
				return err
			}
			return parseDpkg(text, q.Used, func(r muster.Row) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return emit(r)
			})
		},
	}
}

// parseDpkg reads dpkg's status file: paragraphs of "Key: value", where a line
// that begins with a space goes on with the one before and is of no use here.
func parseDpkg(text string, used func(column string) bool, emit emitFunc) error {
	columns := map[string]string{"Package": "name"}
	for key, column := range map[string]string{"Version": "version", "Source": "source", "Installed-Size": "size",
		"Architecture": "arch", "Status": "status", "Maintainer": "maintainer", "Section": "section",
		"Priority": "priority"} {
		if used(column) || column == "version" {
			columns[key] = column
		}
	}
	for len(text) > 0 {
		var paragraph string
		paragraph, text, _ = strings.Cut(text, "\n\n")
		r := muster.Row{"admindir": dpkgFolder}
		for line := range strings.SplitSeq(paragraph, "\n") {
			if line == "" || line[0] == ' ' || line[0] == '\t' {
				continue
			}
			key, value, _ := strings.Cut(line, ":")
			if column, ok := columns[key]; ok {
				r[column] = strings.TrimSpace(value)
			}
		}
		// The Debian revision is what follows the last dash, see deb-version(7).
		if i := strings.LastIndexByte(r["version"], '-'); i >= 0 {
			r["revision"] = r["version"][i+1:]
		}
		if r["name"] == "" {
			continue
		}
		if err := emit(r); err != nil {
			return err
		}
	}
	return nil
}

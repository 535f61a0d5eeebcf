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

// musterPackages are the programs that are installed, whoever installed them:
// dpkg, rpm, snap or flatpak. One that cannot be read fails the whole table,
// for what it holds could be what is looked for. The version of a flatpak and
// of a snap that is not mounted is blank; flatpaks of one person are not seen.
func (h host) musterPackages() facts.Table {
	return facts.Table{
		Name: "muster_packages", Platforms: onLinux, Whole: true, Source: "dpkg, rpm, snap, flatpak",
		Columns: columns("name text, version text, manager text"),
		Rows: func(ctx context.Context, _ facts.Query, emit emitFunc) error {
			known := 0
			for _, read := range []func(context.Context, emitFunc) error{h.installedDebs, h.installedRPMs} {
				err := read(ctx, emit)
				switch {
				case err == nil:
					known++
				case !errors.Is(err, errNoManager):
					return err
				}
			}
			if known == 0 {
				return fmt.Errorf("neither dpkg nor rpm here: %w", facts.ErrUnavailable)
			}
			if err := h.snaps(emit); err != nil {
				return err
			}
			names, err := h.dir("/var/lib/flatpak/app")
			for _, name := range names {
				if err := emit(muster.Row{"name": name, "version": "", "manager": "flatpak"}); err != nil {
					return err
				}
			}
			return err
		},
	}
}

// errNoManager: this way to install is not used here.
var errNoManager = errors.New("no such package manager")

func (h host) installedDebs(ctx context.Context, emit emitFunc) error {
	text, err := h.text(dpkgFolder + "/status")
	if errors.Is(err, fs.ErrNotExist) {
		return errNoManager
	}
	if err != nil {
		return err
	}
	return parseDpkg(text, func(column string) bool { return column == "status" }, func(r muster.Row) error {
		// "hold ok installed", and not one that is removed but for its settings.
		if words := strings.Fields(r["status"]); len(words) != 3 || words[2] == "config-files" || words[2] == "not-installed" {
			return ctx.Err()
		}
		return errors.Join(ctx.Err(), emit(muster.Row{"name": r["name"], "version": r["version"], "manager": "deb"}))
	})
}

func (h host) installedRPMs(ctx context.Context, emit emitFunc) error {
	err := h.rpmHeaders(ctx, func(header []byte) error {
		r, err := parseRPMHeader(header)
		if err != nil {
			return err
		}
		return emit(muster.Row{"name": r["name"], "version": r["version"] + "-" + r["release"], "manager": "rpm"})
	})
	if errors.Is(err, errNoRPM) {
		return errNoManager
	}
	return err
}

// snaps are read where they are mounted; a snap that is there and says no
// version keeps its row.
func (h host) snaps(emit emitFunc) error {
	for _, folder := range []string{"/snap", "/var/lib/snapd/snap"} {
		names, err := h.dir(folder)
		if err != nil {
			return err
		}
		for _, name := range names {
			if name == "bin" || !h.exists(folder+"/"+name+"/current") {
				continue
			}
			text, err := h.textIfAny(folder + "/" + name + "/current/meta/snap.yaml")
			if err != nil {
				return err
			}
			version := ""
			for line := range strings.Lines(text) {
				if v, ok := strings.CutPrefix(line, "version:"); ok {
					version = strings.Trim(strings.TrimSpace(v), `'"`)
					break
				}
			}
			if err := emit(muster.Row{"name": name, "version": version, "manager": "snap"}); err != nil {
				return err
			}
		}
		if len(names) > 0 {
			return nil // the second is often a link to the first
		}
	}
	return nil
}

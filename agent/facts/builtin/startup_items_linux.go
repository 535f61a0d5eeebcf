package builtin

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// startupItems are the desktop's autostart files of every user and of the
// system, the scripts of init, and unless type is given as 'Startup Item' the
// units of systemd where it runs.
func (h host) startupItems() facts.Table {
	return facts.Table{
		Name: "startup_items", Platforms: onLinux, Source: "autostart, /etc/init.d, systemd",
		Columns: columns("name text, path text, args text, type text, source text, status text, username text"),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			rows, err := h.autostart(ctx)
			if err != nil {
				return nil, err
			}
			if want, ok := q.Equals("type"); ok && want != "systemd unit" || !h.exists("/run/systemd/system") {
				return rows, nil
			}
			s, err := h.dialSystemd(ctx)
			if err != nil {
				return nil, err
			}
			defer s.Close()
			units, err := unitRows(ctx, s, facts.Query{Used: func(column string) bool {
				return map[string]bool{"fragment_path": q.Used("path"), "source_path": q.Used("source"),
					"user": q.Used("username")}[column]
			}})
			for _, u := range units {
				rows = append(rows, muster.Row{"name": u["id"], "type": "systemd unit", "status": u["active_state"],
					"path": u["fragment_path"], "source": u["source_path"], "username": u["user"]})
			}
			return rows, err
		}),
	}
}

func (h host) autostart(ctx context.Context) ([]muster.Row, error) {
	accounts, err := h.accounts()
	if err != nil {
		return nil, err
	}
	type folder struct {
		path, user string
		scripts    bool
	}
	var folders []folder
	seen := map[string]bool{}
	for _, a := range accounts {
		if seen[a.home] || !filepath.IsAbs(a.home) {
			continue
		}
		seen[a.home] = true
		folders = append(folders, folder{a.home + "/.config/autostart/", a.name, false},
			folder{a.home + "/.config/autostart-scripts/", a.name, true})
	}
	folders = append(folders, folder{"/etc/init.d/", "", true}, folder{"/etc/xdg/autostart/", "", false})
	var rows []muster.Row
	for _, f := range folders {
		names, err := h.dir(f.path)
		if errors.Is(err, unix.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			r := muster.Row{"name": name, "path": f.path + name, "type": "Startup Item", "status": "enabled",
				"source": f.path, "username": f.user}
			if !f.scripts {
				text, err := h.text(f.path + name)
				if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EISDIR) {
					continue
				}
				if err != nil {
					return nil, err
				}
				r["name"], r["path"] = parseDesktop(text)
			}
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// parseDesktop reads name and command of a desktop entry, not of the further
// actions that it may offer.
func parseDesktop(text string) (name, command string) {
	for _, e := range parseINI(text) {
		if e.section != "Desktop Entry" {
			continue
		}
		switch {
		case e.key == "Name" && name == "":
			name = e.value
		case e.key == "Exec" && command == "":
			command = e.value
		}
	}
	return name, strings.TrimSpace(command)
}

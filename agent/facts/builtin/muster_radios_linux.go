package builtin

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterRadios are the radios that the kernel drives: kind is wifi, bluetooth
// or wwan (mobile data); blocked is 1 where its switch is off, hard or soft.
func (h host) musterRadios() facts.Table {
	return facts.Table{
		Name: "muster_radios", Platforms: onLinux, Whole: true, Source: "/sys/class",
		Columns: columns("kind text, name text, blocked integer"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			var rows []muster.Row
			for _, class := range []struct{ folder, kind string }{
				{"/sys/class/ieee80211", "wifi"}, {"/sys/class/bluetooth", "bluetooth"}, {"/sys/class/wwan", "wwan"},
			} {
				names, err := h.dir(class.folder)
				if err != nil {
					return nil, err
				}
				for _, name := range names {
					if strings.Contains(name, ":") {
						continue // a connection, not a radio
					}
					blocked, err := h.radioBlocked(filepath.Join(class.folder, name))
					if err != nil {
						return nil, err
					}
					rows = append(rows, muster.Row{"kind": class.kind, "name": name, "blocked": flag(blocked)})
				}
			}
			return rows, nil
		}),
	}
}

// radioBlocked reads the radio's switch, a folder rfkill0 in its own.
func (h host) radioBlocked(radio string) (bool, error) {
	names, err := h.dir(radio)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "rfkill") {
			continue
		}
		for _, side := range []string{"soft", "hard"} {
			v, err := h.value(filepath.Join(radio, name, side))
			if v == "1" || err != nil {
				return v == "1", err
			}
		}
	}
	return false, nil
}

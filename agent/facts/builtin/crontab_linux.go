package builtin

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// crontab is what cron starts, the system's and every user's. As in osquery
// the command of a system crontab begins with the user's name.
func (h host) crontab() facts.Table {
	return facts.Table{
		Name: "crontab", Platforms: onLinux, Whole: true, Source: "/etc/crontab, /etc/cron.d, /var/spool/cron",
		Columns: columns(`event text, minute text, hour text, day_of_month text, month text, day_of_week text,
			command text, path text`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			paths := []string{"/etc/crontab"}
			for _, dir := range []string{"/etc/cron.d", "/var/spool/cron", "/var/spool/cron/crontabs"} {
				names, err := h.dir(dir)
				if err != nil {
					return nil, err
				}
				for _, name := range names {
					if !strings.HasPrefix(name, ".") {
						paths = append(paths, filepath.Join(dir, name))
					}
				}
			}
			var rows []muster.Row
			for _, path := range paths {
				text, err := h.textIfAny(path)
				if err != nil {
					return nil, err
				}
				rows = append(rows, parseCrontab(path, text)...)
			}
			return rows, nil
		}),
	}
}

func parseCrontab(path, text string) []muster.Row {
	var rows []muster.Row
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0][0] == '#' || strings.Contains(f[0], "=") || f[1] == "=" {
			continue
		}
		if f[0][0] == '@' {
			rows = append(rows, muster.Row{"path": path, "event": f[0], "command": strings.Join(f[1:], " ")})
		} else if len(f) > 5 {
			rows = append(rows, muster.Row{"path": path, "minute": f[0], "hour": f[1], "day_of_month": f[2], "month": f[3],
				"day_of_week": f[4], "command": strings.Join(f[5:], " ")})
		}
	}
	return rows
}

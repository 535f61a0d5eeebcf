package builtin

import (
	"context"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// etcHosts is the hosts file, wherever the system keeps it (several files on
// Windows); a missing one has no rows.
func (h host) etcHosts(paths ...string) facts.Table {
	return facts.Table{
		Name: "etc_hosts", Platforms: onBoth, Whole: true, Source: "hosts file",
		Columns: columns("address text, hostnames text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			var rows []muster.Row
			for _, p := range paths {
				text, err := h.textIfAny(p)
				if err != nil {
					return nil, err
				}
				rows = append(rows, parseHosts(text)...)
			}
			return rows, nil
		}),
	}
}

func parseHosts(text string) []muster.Row {
	var rows []muster.Row
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 0 {
			rows = append(rows, muster.Row{"address": words[0], "hostnames": strings.Join(words[1:], " ")})
		}
	}
	return rows
}

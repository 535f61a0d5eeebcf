package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// last is who signed in (type 7) and out (type 8), from the newest
// /var/log/wtmp. A host without it, such as one that has moved to wtmpdb, is
// unavailable: osquery has no rows then, as if nobody had come. One of more
// than 64 MiB is an error; sign-ins before the last rotation are not seen.
func (h host) last() facts.Table {
	return facts.Table{
		Name: "last", Platforms: onLinux, Whole: true, Source: "/var/log/wtmp", Preferred: true,
		Columns: columns(`username text, tty text, pid integer, type integer, type_name text, time integer, host text`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			text, err := h.text("/var/log/wtmp")
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("no /var/log/wtmp: %w", facts.ErrUnavailable)
			}
			return lastRows([]byte(text), utmpLayout(runtime.GOARCH)), err
		}),
	}
}

// lastKinds are the record types of utmp(5) that the table is about.
var lastKinds = map[int]string{7: "user-process", 8: "dead-process"}

func lastRows(b []byte, layout utmpLayoutOf) []muster.Row {
	var rows []muster.Row
	for u := range utmpRecords(b, layout) {
		if name, ok := lastKinds[u.kind]; ok {
			rows = append(rows, muster.Row{"username": u.user, "tty": u.tty, "pid": strconv.Itoa(u.pid),
				"type": strconv.Itoa(u.kind), "type_name": name, "time": strconv.Itoa(u.time), "host": u.host})
		}
	}
	return rows
}

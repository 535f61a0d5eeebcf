package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterFailedLogins are the failed sign-ins of /var/log/btmp, newest file
// only; time counts seconds since 1970. username is given for accounts of this
// host and else "": people type their password there. A host without btmp,
// such as one that leaves it to the journal, is unavailable.
func (h host) musterFailedLogins() facts.Table {
	return facts.Table{
		Name: "muster_failed_logins", Platforms: onLinux, Whole: true, Source: "/var/log/btmp",
		Columns: columns("username text, tty text, host text, time bigint"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			accounts, err := h.accounts()
			if err != nil {
				return nil, err
			}
			known := map[string]bool{}
			for _, a := range accounts {
				known[a.name] = true
			}
			text, err := h.text("/var/log/btmp")
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("no /var/log/btmp: %w", facts.ErrUnavailable)
			}
			var rows []muster.Row
			for _, r := range parseUtmp([]byte(text), utmpLayout(runtime.GOARCH)) {
				if !known[r["user"]] {
					r["user"] = ""
				}
				rows = append(rows, muster.Row{"username": r["user"], "tty": r["tty"], "host": r["host"], "time": r["time"]})
			}
			return rows, err
		}),
	}
}

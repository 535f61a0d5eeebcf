package builtin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strconv"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// maxFailedLogins bounds the records that are read: anybody who can reach the
// sign-in can make any number of them.
const maxFailedLogins = 10_000

// musterFailedLogins are the newest failed sign-ins of /var/log/btmp, newest
// file only; time counts seconds since 1970, older the records before these that
// were left out. username is given for accounts of this host and else "": people
// type their password there. A host without btmp, such as one that leaves it to
// the journal, is unavailable. Root only.
func (h host) musterFailedLogins() facts.Table {
	return facts.Table{
		Name: "muster_failed_logins", Platforms: onLinux, Whole: true, Source: "/var/log/btmp",
		Columns: columns("username text, tty text, host text, time bigint, older bigint"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			accounts, err := h.accounts()
			if err != nil {
				return nil, err
			}
			known := map[string]bool{}
			for _, a := range accounts {
				known[a.name] = true
			}
			layout := utmpLayout(runtime.GOARCH)
			records, older, err := h.newest("/var/log/btmp", layout.size, maxFailedLogins)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("no /var/log/btmp: %w", facts.ErrUnavailable)
			}
			var rows []muster.Row
			for _, r := range parseUtmp(records, layout) {
				if !known[r["user"]] {
					r["user"] = ""
				}
				rows = append(rows, muster.Row{"username": r["user"], "tty": r["tty"], "host": r["host"], "time": r["time"],
					"older": strconv.FormatInt(older, 10)})
			}
			return rows, err
		}),
	}
}

// newest reads the last records of a file that grows by whole records, at most
// so many, and tells how many lie before them.
func (h host) newest(path string, size, most int) (records []byte, older int64, err error) {
	f, err := openFile(h.path(path))
	if err != nil {
		return nil, 0, readError(path, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, 0, readError(path, err)
	}
	older = max(0, st.Size()/int64(size)-int64(most))
	records, err = io.ReadAll(io.NewSectionReader(f, older*int64(size), int64(size)*int64(most)))
	if err != nil {
		return nil, 0, readError(path, err)
	}
	return records, older, nil
}

package builtin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// loggedInUsers are the records of utmp, or where a system has given that up
// the sessions of systemd-logind. With neither the table is unavailable.
func (h host) loggedInUsers() facts.Table {
	return facts.Table{
		Name: "logged_in_users", Platforms: onLinux, Whole: true, Source: "utmp, systemd-logind",
		Columns: columns("type text, user text, tty text, host text, time bigint, pid integer"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			text, err := h.text("/run/utmp")
			if errors.Is(err, fs.ErrNotExist) {
				return h.sessions()
			}
			return parseUtmp([]byte(text), utmpLayout(runtime.GOARCH)), err
		}),
	}
}

// sessions reads what logind keeps of each session; class "user" is a person
// who signed in.
func (h host) sessions() ([]muster.Row, error) {
	const folder = "/run/systemd/sessions"
	if !h.exists(folder) {
		return nil, fmt.Errorf("neither utmp nor systemd-logind is here: %w", facts.ErrUnavailable)
	}
	names, err := h.dir(folder)
	var rows []muster.Row
	for _, name := range names {
		if strings.HasSuffix(name, ".ref") {
			continue // a pipe beside each session, by which logind learns that it ended
		}
		text, err := h.textIfAny(folder + "/" + name)
		if err != nil {
			return nil, err
		}
		if r := parseSession(text); r != nil {
			rows = append(rows, r)
		}
	}
	return rows, err
}

func parseSession(text string) muster.Row {
	s := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			s[key] = value
		}
	}
	if !strings.HasPrefix(s["CLASS"], "user") || s["USER"] == "" {
		return nil
	}
	started, _ := strconv.ParseInt(s["REALTIME"], 10, 64)
	tty := s["TTY"]
	if tty == "" {
		tty = s["DISPLAY"]
	}
	return muster.Row{"type": "user", "user": s["USER"], "tty": tty, "host": s["REMOTE_HOST"],
		"time": strconv.FormatInt(started/1e6, 10), "pid": s["LEADER"]}
}

// utmpLayoutOf is where utmp(5) keeps things, which depends on the processor.
type utmpLayoutOf struct{ size, seconds int }

func utmpLayout(arch string) utmpLayoutOf {
	switch arch {
	case "arm64", "riscv64", "loong64":
		return utmpLayoutOf{size: 400, seconds: 344}
	}
	return utmpLayoutOf{size: 384, seconds: 340}
}

// utmpRecord is one record of utmp(5); time counts seconds since 1970.
type utmpRecord struct {
	kind, pid, time int
	user, tty, host string
}

func utmpRecords(b []byte, layout utmpLayoutOf) iter.Seq[utmpRecord] {
	return func(yield func(utmpRecord) bool) {
		for ; len(b) >= layout.size; b = b[layout.size:] {
			u := utmpRecord{
				kind: int(binary.NativeEndian.Uint16(b)), pid: int(int32(binary.NativeEndian.Uint32(b[4:]))),
				tty: unix.ByteSliceToString(b[8:40]), user: unix.ByteSliceToString(b[44:76]),
				host: unix.ByteSliceToString(b[76:332]), time: int(int32(binary.NativeEndian.Uint32(b[layout.seconds:]))),
			}
			if !yield(u) {
				return
			}
		}
	}
}

func parseUtmp(b []byte, layout utmpLayoutOf) []muster.Row {
	var rows []muster.Row
	for u := range utmpRecords(b, layout) {
		if u.pid == 1 {
			continue // init's own records, as in osquery
		}
		kind := "unknown"
		if u.kind < len(utmpKinds) {
			kind = utmpKinds[u.kind]
		}
		rows = append(rows, muster.Row{"type": kind, "tty": u.tty, "user": u.user, "host": u.host,
			"pid": strconv.Itoa(u.pid), "time": strconv.Itoa(u.time)})
	}
	return rows
}

// utmpKinds are osquery's names of the record types, by their number.
var utmpKinds = []string{"empty", "runlevel", "boot_time", "new_time", "old_time", "init", "login", "user", "dead",
	"accounting"}

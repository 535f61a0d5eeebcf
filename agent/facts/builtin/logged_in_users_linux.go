package builtin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
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

// utmpRecord is where utmp(5) keeps things, which depends on the processor.
type utmpRecord struct{ size, seconds int }

func utmpLayout(arch string) utmpRecord {
	switch arch {
	case "arm64", "riscv64", "loong64":
		return utmpRecord{size: 400, seconds: 344}
	}
	return utmpRecord{size: 384, seconds: 340}
}

func parseUtmp(b []byte, layout utmpRecord) []muster.Row {
	var rows []muster.Row
	for ; len(b) >= layout.size; b = b[layout.size:] {
		pid := int32(binary.NativeEndian.Uint32(b[4:]))
		if pid == 1 {
			continue // init's own records, as in osquery
		}
		kind := "unknown"
		if t := binary.NativeEndian.Uint16(b); int(t) < len(utmpKinds) {
			kind = utmpKinds[t]
		}
		rows = append(rows, muster.Row{
			"type": kind, "tty": unix.ByteSliceToString(b[8:40]), "user": unix.ByteSliceToString(b[44:76]),
			"host": unix.ByteSliceToString(b[76:332]), "pid": strconv.Itoa(int(pid)),
			"time": strconv.Itoa(int(int32(binary.NativeEndian.Uint32(b[layout.seconds:])))),
		})
	}
	return rows
}

// utmpKinds are osquery's names of the record types, by their number.
var utmpKinds = []string{"empty", "runlevel", "boot_time", "new_time", "old_time", "init", "login", "user", "dead",
	"accounting"}

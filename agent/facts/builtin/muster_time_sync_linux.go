package builtin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterTimeSync is what the kernel knows of its clock: whether a time service
// steers it, the last offset and the largest possible error in seconds, the
// time service that runs, or "", and when systemd-timesyncd last had an answer
// (seconds since 1970, or "").
func (h host) musterTimeSync() facts.Table {
	return facts.Table{
		Name: "muster_time_sync", Platforms: onLinux, Whole: true, Source: "adjtimex, /proc",
		Columns: columns(`synchronized integer, offset_seconds double, max_error_seconds double, service text,
			last_sync bigint`),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			var t unix.Timex
			state, err := unix.Adjtimex(&t)
			if err != nil {
				return nil, fmt.Errorf("ask the kernel for its clock: %w", err)
			}
			r := timexRow(state, t)
			if q.Used("service") {
				if r["service"], err = h.timeService(ctx); err != nil {
					return nil, err
				}
			}
			if st, err := os.Stat(h.path("/run/systemd/timesync/synchronized")); err == nil {
				r["last_sync"] = strconv.FormatInt(st.ModTime().Unix(), 10)
			}
			return []muster.Row{r}, nil
		}),
	}
}

const timeError = 5 // TIME_ERROR of adjtimex(2): the clock is not synchronized

func timexRow(state int, t unix.Timex) muster.Row {
	unit := 1e6 // offsets are in microseconds unless STA_NANO says nanoseconds
	if t.Status&unix.STA_NANO != 0 {
		unit = 1e9
	}
	seconds := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	return muster.Row{
		"synchronized":      flag(state != timeError && t.Status&unix.STA_UNSYNC == 0),
		"offset_seconds":    seconds(float64(t.Offset) / unit),
		"max_error_seconds": seconds(float64(t.Maxerror) / 1e6),
	}
}

// timeServices maps the names of processes that set the clock to their units.
var timeServices = map[string]string{"systemd-timesyn": "systemd-timesyncd", "chronyd": "chrony", "ntpd": "ntp",
	"ntpsec": "ntpsec", "ptp4l": "ptp4l", "phc2sys": "phc2sys", "openntpd": "openntpd"}

func (h host) timeService(ctx context.Context) (string, error) {
	pids, err := h.pids(facts.Query{})
	if err != nil {
		return "", err
	}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		comm, err := h.text("/proc/" + pid + "/comm")
		if err != nil && !errors.Is(gone(err), fs.ErrNotExist) {
			return "", err
		}
		if service := timeServices[strings.TrimSpace(comm)]; service != "" {
			return service, nil
		}
	}
	return "", nil
}

package builtin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster/agent/facts"
)

// eventLogTable is the Windows event log, newest first, one channel at a time:
// channel = must be given, and eventid, pid, timestamp and time_range narrow
// the search in the log itself. timestamp is milliseconds: timestamp =
// '86400000' is the last day. Of more than maxEvents a statement must narrow
// down or say LIMIT, with which only the newest are read: then nobody can make
// an answer fail by making events. A channel that does not exist is unavailable,
// where osquery answers with no rows. It has no xpath, osquery's other way to
// ask. The channel Security is administrators' only, and what was overwritten or
// cleared is gone.
func eventLogTable() facts.Table {
	return facts.Table{
		Name: "windows_eventlog", Platforms: onWindows, Source: "event log", Preferred: true,
		Columns: columns(`channel text required, datetime text, task integer, level integer, provider_name text,
			provider_guid text, computer_name text, eventid integer, keywords text, data text, pid integer, tid integer,
			time_range text hidden, timestamp text hidden`),
		Rows: func(ctx context.Context, q facts.Query, emit emitFunc) error {
			channel, ok := q.Equals("channel")
			if !ok {
				return errors.New("name one channel: channel = 'System'")
			}
			xpath, err := eventXPath(q)
			if err != nil {
				return err
			}
			enough, given := eventLimit(q), 0
			err = eachEvent(ctx, channel, xpath, func(e windowsEvent) error {
				if given++; enough > 0 && given > enough {
					return errEnough
				}
				row := e.row()
				// As asked, so that SQLite, which checks again and minds the case, keeps the row.
				for _, column := range []string{"channel", "time_range", "timestamp"} {
					row[column], _ = q.Equals(column)
				}
				return emit(row)
			})
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		},
	}
}

var errEnough = errors.New("enough events")

// maxEvents bounds one search of the event log.
const maxEvents = 50_000

// eachEvent calls use for every event of a channel that the XPath query
// selects, newest first.
func eachEvent(ctx context.Context, channel, xpath string, use func(windowsEvent) error) error {
	path, err := windows.UTF16PtrFromString(channel)
	if err != nil {
		return fmt.Errorf("read the event log %q: %w", channel, err)
	}
	query, err := windows.UTF16PtrFromString(xpath)
	if err != nil {
		return fmt.Errorf("read the event log %s: %w", channel, err)
	}
	const channelPath, reverse = 0x1, 0x200
	results, err := callBool(wevtapi.NewProc("EvtQuery"), 0, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(query)), channelPath|reverse)
	if err != nil {
		return failed("read the event log "+channel, err)
	}
	defer closeEvent(results)
	for read := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Larger batches can fail where events are long (RPC_S_INVALID_BOUND).
		var batch [16]uintptr
		var n uint32
		const waitMilliseconds = 1000
		_, err := callBool(wevtapi.NewProc("EvtNext"), results, uintptr(len(batch)), uintptr(unsafe.Pointer(&batch[0])),
			waitMilliseconds, 0, uintptr(unsafe.Pointer(&n)))
		switch {
		case errors.Is(err, windows.ERROR_NO_MORE_ITEMS):
			return nil
		case errors.Is(err, windows.ERROR_TIMEOUT):
			continue
		case err != nil:
			return failed("read the event log "+channel, err)
		}
		if read += int(n); read > maxEvents {
			err = fmt.Errorf("more than %d events in %s: narrow by eventid or timestamp", maxEvents, channel)
		}
		for _, event := range batch[:n] {
			if err == nil {
				err = useEvent(event, use)
			}
			closeEvent(event)
		}
		if err != nil {
			return err
		}
	}
}

func useEvent(event uintptr, use func(windowsEvent) error) error {
	const asXML = 1
	text, err := grow(4096, func(buf []byte, size *uint32) error {
		var properties uint32
		_, err := callBool(wevtapi.NewProc("EvtRender"), 0, event, asXML, uintptr(len(buf)), uintptr(unsafe.Pointer(&buf[0])),
			uintptr(unsafe.Pointer(size)), uintptr(unsafe.Pointer(&properties)))
		return err
	})
	if err != nil {
		return failed("read an event", err)
	}
	e, err := parseEvent(strings.TrimRight(utf16Text(text), "\x00"))
	if err != nil {
		return err
	}
	return use(e)
}

func closeEvent(handle uintptr) { _, _ = callBool(wevtapi.NewProc("EvtClose"), handle) }

package builtin

import (
	"context"
	"net/netip"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// loggedInUsersTable is who works at this computer now, at its screen or from
// afar. As in osquery, sessions that are disconnected do not count.
func loggedInUsersTable() facts.Table {
	return facts.Table{
		Name: "logged_in_users", Platforms: onWindows, Source: "Terminal Services (WTS)",
		Columns: columns(`type text, user text, tty text, host text, time bigint, pid integer, sid text, registry_hive text`),
		Rows:    list(sessionRows),
	}
}

// wtsInfo is WTSINFOW.
type wtsInfo struct {
	state, session uint32
	counters       [6]uint32
	station        [32]uint16
	domain         [17]uint16
	user           [21]uint16
	_              [4]byte
	connected      int64
	disconnected   int64
	lastInput      int64
	logon          int64
	current        int64
}

// Classes of WTSQuerySessionInformation.
const (
	wtsClientName    = 10
	wtsClientAddress = 14
	wtsSessionInfo   = 24
)

func sessionRows(context.Context, facts.Query) ([]muster.Row, error) {
	var first *windows.WTS_SESSION_INFO
	var n uint32
	if err := windows.WTSEnumerateSessions(0, 0, 1, &first, &n); err != nil {
		return nil, failed("list sessions", err)
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(first)))
	var rows []muster.Row
	for _, s := range unsafe.Slice(first, n) {
		if s.State != windows.WTSActive || s.SessionID == 0 {
			continue
		}
		row := muster.Row{"type": "active", "tty": wide(s.WindowStationName), "pid": "-1"}
		err := wtsQuery(s.SessionID, wtsSessionInfo, func(b []byte) {
			if len(b) < int(unsafe.Sizeof(wtsInfo{})) {
				return
			}
			info := (*wtsInfo)(unsafe.Pointer(&b[0]))
			row["user"], row["time"] = windows.UTF16ToString(info.user[:]), num(filetimeUnix(info.connected))
			domain := windows.UTF16ToString(info.domain[:])
			if sid, _, _, err := windows.LookupSID("", domain+`\`+row["user"]); err == nil {
				row["sid"], row["registry_hive"] = sid.String(), `HKEY_USERS\`+sid.String()
			}
		})
		if err != nil {
			return nil, failed("ask for a session's user", err)
		}
		row["host"] = sessionHost(s.SessionID)
		rows = append(rows, row)
	}
	return rows, nil
}

// sessionHost is the address, or else the name, that a session is worked from;
// "" at the computer's own screen.
func sessionHost(session uint32) (host string) {
	_ = wtsQuery(session, wtsClientAddress, func(b []byte) {
		// WTS_CLIENT_ADDRESS: the family, then the address two bytes into its field.
		if len(b) >= 10 && *(*uint32)(unsafe.Pointer(&b[0])) == windows.AF_INET {
			host = netip.AddrFrom4([4]byte(b[6:10])).String()
		}
	})
	if host == "" {
		_ = wtsQuery(session, wtsClientName, func(b []byte) { host, _, _ = strings.Cut(utf16Text(b), "\x00") })
	}
	return host
}

// wtsQuery calls use with what Windows knows of a session; use must not keep it.
func wtsQuery(session uint32, class uintptr, use func([]byte)) error {
	var buf *byte
	var n uint32
	_, err := callBool(wtsapi32.NewProc("WTSQuerySessionInformationW"), 0, uintptr(session), class,
		uintptr(unsafe.Pointer(&buf)), uintptr(unsafe.Pointer(&n)))
	if err != nil || buf == nil {
		return err
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(buf)))
	use(unsafe.Slice(buf, n))
	return nil
}

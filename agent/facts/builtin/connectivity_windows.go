package builtin

import (
	"context"
	"syscall"
	"unsafe"

	"github.com/go-ole/go-ole"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// connectivityTable is how far Windows itself thinks that this computer reaches;
// nothing is sent to find out. Unlike osquery's, disconnected can be 1.
// Anybody may ask.
func connectivityTable() facts.Table {
	return facts.Table{
		Name: "connectivity", Platforms: onWindows, Source: "Network List Manager (COM)", Preferred: true,
		Columns: columns(`disconnected integer, ipv4_no_traffic integer, ipv6_no_traffic integer, ipv4_subnet integer,
			ipv4_local_network integer, ipv4_internet integer, ipv6_subnet integer, ipv6_local_network integer,
			ipv6_internet integer`),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			return withCOM(ctx, func() ([]muster.Row, error) {
				class := ole.NewGUID("{DCB00C01-570F-4A9B-8D69-199FDBA5723B}")
				manager, err := ole.CreateInstance(class, ole.NewGUID("{DCB00000-570F-4A9B-8D69-199FDBA5723B}"))
				if err != nil {
					return nil, failed("make the Network List Manager", err)
				}
				defer manager.Release()
				// The methods of IUnknown, IDispatch and six of its own come before GetConnectivity.
				const getConnectivity = 13
				methods := (*[getConnectivity + 1]uintptr)(unsafe.Pointer(manager.RawVTable))
				var bits uint32
				code, _, _ := syscall.SyscallN(methods[getConnectivity], uintptr(unsafe.Pointer(manager)), uintptr(unsafe.Pointer(&bits)))
				if code != 0 {
					return nil, failed("ask the Network List Manager", ole.NewError(code))
				}
				return []muster.Row{connectivityRow(bits)}, nil
			})
		}),
	}
}

package builtin

import (
	"context"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// routesTable is the routes of IPv4 and IPv6. Unlike osquery's, which repeats
// the adapter's gateway on every IPv4 row, gateway is the route's own; 0.0.0.0
// or :: means that the destination is on the link.
func routesTable() facts.Table {
	return facts.Table{
		Name: "routes", Platforms: onWindows, Source: "GetIpForwardTable2", Preferred: true,
		Columns: columns(`destination text, netmask integer, gateway text, source text, flags integer, interface text, mtu integer,
			metric integer, type text`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) { return routeRows() }),
	}
}

func routeRows() ([]muster.Row, error) {
	type addresses struct{ v4, v6 string }
	own := map[uint32]addresses{}
	err := adapters(func(a *windows.IpAdapterAddresses) error {
		var first addresses
		for u := a.FirstUnicastAddress; u != nil; u = u.Next {
			switch ip := u.Address.IP(); {
			case len(ip) == net.IPv4len && first.v4 == "":
				first.v4 = ipText(ip)
			case len(ip) == net.IPv6len && first.v6 == "":
				first.v6 = ipText(ip)
			}
		}
		own[a.IfIndex] = first
		return nil
	})
	if err != nil {
		return nil, err
	}
	var table *windows.MibIpForwardTable2
	if err := windows.GetIpForwardTable2(windows.AF_UNSPEC, &table); err != nil {
		return nil, failed("list routes", err)
	}
	defer windows.FreeMibTable(unsafe.Pointer(table))
	var rows []muster.Row
	for _, r := range table.Rows() {
		row := muster.Row{
			"destination": sockaddrText(&r.DestinationPrefix.Prefix), "netmask": unum(r.DestinationPrefix.PrefixLength),
			"gateway": sockaddrText(&r.NextHop), "flags": "-1", "interface": own[r.InterfaceIndex].v4, "metric": "-1", "mtu": "-1",
			"type": "remote",
		}
		if r.DestinationPrefix.Prefix.Family == windows.AF_INET6 {
			row["interface"] = own[r.InterfaceIndex].v6
		}
		if r.Loopback != 0 || row["interface"] == "127.0.0.1" || row["interface"] == "::1" {
			row["type"] = "local"
		}
		link := windows.MibIpInterfaceRow{Family: r.DestinationPrefix.Prefix.Family, InterfaceLuid: r.InterfaceLuid, InterfaceIndex: r.InterfaceIndex}
		if callCode(iphlpapi.NewProc("GetIpInterfaceEntry"), uintptr(unsafe.Pointer(&link))) == nil {
			row["metric"], row["mtu"] = unum(link.Metric+r.Metric), unum(min(link.NlMtu, 1<<31-1))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func sockaddrText(a *windows.RawSockaddrInet) string {
	switch a.Family {
	case windows.AF_INET:
		return netip.AddrFrom4((*windows.RawSockaddrInet4)(unsafe.Pointer(a)).Addr).String()
	case windows.AF_INET6:
		return netip.AddrFrom16((*windows.RawSockaddrInet6)(unsafe.Pointer(a)).Addr).String()
	}
	return ""
}

package builtin

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// adapters calls f for every network adapter that has a protocol bound.
func adapters(f func(a *windows.IpAdapterAddresses) error) error {
	const skipAnycast, skipMulticast = 0x2, 0x4
	buf, err := grow(16<<10, func(buf []byte, size *uint32) error {
		return windows.GetAdaptersAddresses(windows.AF_UNSPEC, windows.GAA_FLAG_INCLUDE_PREFIX|skipAnycast|skipMulticast, 0,
			(*windows.IpAdapterAddresses)(unsafe.Pointer(&buf[0])), size)
	})
	if err == windows.ERROR_NO_DATA {
		return nil
	}
	if err != nil {
		return failed("list network adapters", err)
	}
	for a := (*windows.IpAdapterAddresses)(unsafe.Pointer(&buf[0])); a != nil; a = a.Next {
		if err := f(a); err != nil {
			return err
		}
	}
	return nil
}

// ipText writes an address without its zone; nil is "".
func ipText(ip net.IP) string {
	if a, ok := netip.AddrFromSlice(ip); ok {
		return a.String()
	}
	return ""
}

// interfaceAddressesTable is the addresses of the network adapters.
func interfaceAddressesTable() facts.Table {
	return facts.Table{
		Name: "interface_addresses", Platforms: onWindows, Source: "GetAdaptersAddresses",
		Columns: columns(`interface text, address text, mask text, broadcast text, point_to_point text, type text, friendly_name text`),
		Rows: func(ctx context.Context, _ facts.Query, emit emitFunc) error {
			return adapters(func(a *windows.IpAdapterAddresses) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				for u := a.FirstUnicastAddress; u != nil; u = u.Next {
					ip := u.Address.IP()
					err := emit(muster.Row{
						"interface": unum(a.IfIndex), "friendly_name": wide(a.FriendlyName), "address": ipText(ip),
						"mask": ipText(net.IP(net.CIDRMask(int(u.OnLinkPrefixLength), 8*len(ip)))), "type": suffixOrigin(u.SuffixOrigin),
					})
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func suffixOrigin(origin int32) string {
	switch origin {
	case windows.IpSuffixOriginManual:
		return "manual"
	case windows.IpSuffixOriginDhcp:
		return "dhcp"
	case windows.IpSuffixOriginLinkLayerAddress, windows.IpSuffixOriginRandom:
		return "auto"
	}
	return "unknown"
}

// interfaceDetailsTable is the network adapters. The manufacturer, which only
// WMI knows, is asked for where the statement uses it.
func interfaceDetailsTable() facts.Table {
	return facts.Table{
		Name: "interface_details", Platforms: onWindows, Source: "GetAdaptersAddresses, GetIfEntry2 and registry",
		Columns: columns(`interface text, mac text, type integer, mtu integer, metric integer, flags integer, ipackets bigint,
			opackets bigint, ibytes bigint, obytes bigint, ierrors bigint, oerrors bigint, idrops bigint, odrops bigint,
			collisions bigint, last_change bigint, friendly_name text, description text, manufacturer text,
			connection_id text, connection_status text, enabled integer, physical_adapter integer, speed integer,
			service text, dhcp_enabled integer, dhcp_lease_expires text, dhcp_lease_obtained text, dhcp_server text,
			dns_domain text, dns_domain_suffix_search_order text, dns_host_name text, dns_server_search_order text`),
		Rows: list(interfaceRows),
	}
}

func interfaceRows(ctx context.Context, q facts.Query) ([]muster.Row, error) {
	var makers map[string][]string
	if usesAny(q, "manufacturer", "service") {
		makers = map[string][]string{}
		_, err := wmiQuery(ctx, cimv2, "SELECT InterfaceIndex, Manufacturer, ServiceName FROM Win32_NetworkAdapter", func(o comObject) (muster.Row, error) {
			t, err := o.texts("InterfaceIndex", "Manufacturer", "ServiceName")
			if err == nil {
				makers[t[0]] = t[1:]
			}
			return nil, err
		})
		if err != nil {
			return nil, err
		}
	}
	host, err := computerName(windows.ComputerNamePhysicalDnsHostname)
	if err != nil {
		return nil, err
	}
	global, err := regValues(tcpipParameters)
	if err != nil {
		return nil, err
	}
	var rows []muster.Row
	err = adapters(func(a *windows.IpAdapterAddresses) error {
		row := adapterRow(a)
		addCounters(a, row)
		if m := makers[row["interface"]]; m != nil {
			row["manufacturer"], row["service"] = m[0], m[1]
		}
		row["dns_host_name"] = host
		row["dns_domain_suffix_search_order"] = strings.ReplaceAll(global["searchlist"], ",", ", ")
		lease, err := regValues(tcpipParameters + `\Interfaces\` + windows.BytePtrToString(a.AdapterName))
		if err != nil {
			return err
		}
		row["dhcp_lease_obtained"], row["dhcp_lease_expires"] = leaseTime(lease["leaseobtainedtime"]), leaseTime(lease["leaseterminatestime"])
		rows = append(rows, row)
		return nil
	})
	return rows, err
}

const tcpipParameters = `HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters`

// unsetDNS begins the addresses that Windows shows where no IPv6 server is set.
const unsetDNS = "fec0:0:0:ffff::"

func adapterRow(a *windows.IpAdapterAddresses) muster.Row {
	const dhcpEnabled = 0x4
	var dns []string
	for s := a.FirstDnsServerAddress; s != nil; s = s.Next {
		// osquery lists the servers of IPv4 only; the others resolve names just the same.
		if ip := ipText(s.Address.IP()); !strings.HasPrefix(ip, unsetDNS) {
			dns = append(dns, ip)
		}
	}
	return muster.Row{
		"interface": unum(a.IfIndex), "mac": net.HardwareAddr(a.PhysicalAddress[:a.PhysicalAddressLength]).String(),
		"type": unum(a.IfType), "mtu": num(int32(a.Mtu)), "metric": unum(a.Ipv4Metric), "flags": unum(a.Flags),
		"description": wide(a.Description), "friendly_name": wide(a.FriendlyName), "collisions": "-1", "last_change": "-1",
		"dhcp_enabled": flag(a.Flags&dhcpEnabled != 0), "dhcp_server": ipText(a.Dhcpv4Server.IP()),
		"dns_domain": wide(a.DnsSuffix), "dns_server_search_order": strings.Join(dns, ", "),
	}
}

// addCounters adds what the adapter's driver tells; where it tells nothing the columns stay "".
func addCounters(a *windows.IpAdapterAddresses, row muster.Row) {
	m := windows.MibIfRow2{InterfaceLuid: a.Luid, InterfaceIndex: a.IfIndex}
	if windows.GetIfEntry2Ex(windows.MibIfEntryNormal, &m) != nil {
		return
	}
	const hardware, connected = 0x1, 1
	row["ipackets"], row["opackets"] = unum(m.InUcastPkts+m.InNUcastPkts), unum(m.OutUcastPkts+m.OutNUcastPkts)
	row["ibytes"], row["obytes"] = unum(m.InOctets), unum(m.OutOctets)
	row["ierrors"], row["oerrors"] = unum(m.InErrors), unum(m.OutErrors)
	row["idrops"], row["odrops"] = unum(m.InDiscards), unum(m.OutDiscards)
	row["connection_id"] = windows.UTF16ToString(m.Alias[:])
	row["connection_status"] = "7" // media disconnected, in WMI's numbers
	if m.MediaConnectState == connected {
		row["connection_status"] = "2"
	}
	row["enabled"] = flag(m.AdminStatus == connected)
	row["physical_adapter"] = flag(m.InterfaceAndOperStatusFlags&hardware != 0)
	row["speed"] = unum(m.TransmitLinkSpeed)
}

// leaseTime turns Unix seconds from the registry into WMI's form.
func leaseTime(seconds string) string {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || n == 0 {
		return ""
	}
	return cimTime(time.Unix(n, 0).Local())
}

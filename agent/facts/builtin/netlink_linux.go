package builtin

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// The kernel answers the questions of this file in its routing protocol, as it
// does to ip(8): see rtnetlink(7). No rights are needed.

// netlinkMessage is one answer: its fixed part and its attributes.
type netlinkMessage struct {
	body  []byte
	attrs netlinkAttrs
}

// netlinkAttrs are values by their type.
type netlinkAttrs map[uint16][]byte

// dump asks for all links, addresses or routes.
func dump(what int) ([]netlinkMessage, error) {
	b, err := syscall.NetlinkRIB(what, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for network settings: %w", err)
	}
	return parseNetlink(b)
}

func parseNetlink(b []byte) ([]netlinkMessage, error) {
	raw, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return nil, fmt.Errorf("read network settings: %w", err)
	}
	return readNetlink(raw), nil
}

func readNetlink(raw []syscall.NetlinkMessage) []netlinkMessage {
	size := map[uint16]int{unix.RTM_NEWLINK: unix.SizeofIfInfomsg, unix.RTM_NEWADDR: unix.SizeofIfAddrmsg,
		unix.RTM_NEWROUTE: unix.SizeofRtMsg, nftNewChain: sizeofNfgenmsg}
	var messages []netlinkMessage
	for _, m := range raw {
		if n, ok := size[m.Header.Type]; ok && len(m.Data) >= n {
			messages = append(messages, netlinkMessage{m.Data[:n], parseAttrs(m.Data[n:])})
		}
	}
	return messages
}

// maxNetlinkBytes bounds one answer of the kernel.
const maxNetlinkBytes = 64 << 20

// askNetlink sends one request of another protocol than rtnetlink and collects
// the messages up to one of the type last. An error that the kernel answers is a
// unix.Errno.
func askNetlink(protocol int, kind, flags uint16, body []byte, last uint16) ([]syscall.NetlinkMessage, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, err
	}
	defer unix.Close(s)
	if err := unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return nil, err
	}
	ask := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(ask, uint32(unix.NLMSG_HDRLEN+len(body)))
	binary.NativeEndian.PutUint16(ask[4:], kind)
	binary.NativeEndian.PutUint16(ask[6:], flags)
	if err := unix.Sendto(s, append(ask, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var all []syscall.NetlinkMessage
	b := make([]byte, 1<<16)
	for size := 0; size < maxNetlinkBytes; {
		n, _, err := unix.Recvfrom(s, b, 0)
		if err != nil {
			return nil, err
		}
		size += n
		messages, err := syscall.ParseNetlinkMessage(slices.Clone(b[:n]))
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			if m.Header.Type == unix.NLMSG_ERROR {
				if len(m.Data) < 4 {
					return nil, unix.EPROTO
				}
				return nil, unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
			}
			all = append(all, m)
			if m.Header.Type == last {
				return all, nil
			}
		}
	}
	return nil, unix.EMSGSIZE
}

// parseAttrs reads length, type and value, each padded to four bytes.
func parseAttrs(b []byte) netlinkAttrs {
	attrs := netlinkAttrs{}
	for len(b) >= unix.NLA_HDRLEN {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.NLA_HDRLEN || size > len(b) {
			break
		}
		kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		attrs[kind] = b[unix.NLA_HDRLEN:size]
		b = b[min(len(b), (size+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1)):]
	}
	return attrs
}

func (a netlinkAttrs) nested(kind uint16) netlinkAttrs { return parseAttrs(a[kind]) }

func (a netlinkAttrs) text(kind uint16) string { return unix.ByteSliceToString(a[kind]) }

// number is a value in the host's order, 0 where there is none.
func (a netlinkAttrs) number(kind uint16) uint64 {
	if v := a[kind]; len(v) >= 4 {
		return uint64(binary.NativeEndian.Uint32(v))
	}
	return 0
}

// big is a value in the network's order, 0 where there is none.
func (a netlinkAttrs) big(kind uint16) uint32 {
	if v := a[kind]; len(v) >= 4 {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (a netlinkAttrs) ip(kind uint16) string {
	ip, ok := netip.AddrFromSlice(a[kind])
	if !ok {
		return ""
	}
	return ip.String()
}

// linkNames maps an interface's number to its name.
func linkNames() (map[uint64]string, error) {
	links, err := dump(unix.RTM_GETLINK)
	names := map[uint64]string{}
	for _, l := range links {
		names[uint64(binary.NativeEndian.Uint32(l.body[4:]))] = l.attrs.text(unix.IFLA_IFNAME)
	}
	return names, err
}

// interfaceDetails are the network interfaces.
func (h host) interfaceDetails() facts.Table {
	return facts.Table{
		Name: "interface_details", Platforms: onLinux, Whole: true, Source: "netlink, /sys/class/net",
		Columns: columns(`interface text, mac text, type integer, mtu integer, metric integer, flags integer,
			ipackets bigint, opackets bigint, ibytes bigint, obytes bigint, ierrors bigint, oerrors bigint, idrops bigint,
			odrops bigint, collisions bigint, last_change bigint, link_speed bigint, pci_slot text`),
		Rows: list(func(_ context.Context, q facts.Query) ([]muster.Row, error) {
			links, err := dump(unix.RTM_GETLINK)
			if err != nil {
				return nil, err
			}
			var rows []muster.Row
			for _, l := range links {
				row := linkRow(l)
				h.addLinkHardware(row)
				rows = append(rows, row)
			}
			return rows, nil
		}),
	}
}

func linkRow(l netlinkMessage) muster.Row {
	u := func(n uint64) string { return strconv.FormatUint(n, 10) }
	mac := net.HardwareAddr(l.attrs[unix.IFLA_ADDRESS]).String()
	if mac == "" {
		mac = "00:00:00:00:00:00"
	}
	r := muster.Row{
		"interface": l.attrs.text(unix.IFLA_IFNAME), "mac": mac, "mtu": u(l.attrs.number(unix.IFLA_MTU)), "metric": "0",
		// osquery keeps the low byte of the ARP hardware type.
		"type":  u(uint64(binary.NativeEndian.Uint16(l.body[2:]) & 0xff)),
		"flags": u(uint64(binary.NativeEndian.Uint32(l.body[8:]))), "last_change": "-1",
	}
	// struct rtnl_link_stats64: counters of 8 bytes in this order.
	stats := l.attrs[unix.IFLA_STATS64]
	for i, name := range []string{"ipackets", "opackets", "ibytes", "obytes", "ierrors", "oerrors", "idrops", "odrops",
		"", "collisions"} {
		if name != "" && len(stats) >= 8*(i+1) {
			r[name] = u(binary.NativeEndian.Uint64(stats[8*i:]))
		}
	}
	return r
}

// addLinkHardware adds the speed in Mbit/s and the place on the bus, 0 and -1
// for an interface that has none.
func (h host) addLinkHardware(row muster.Row) {
	class := "/sys/class/net/" + row["interface"]
	row["link_speed"], row["pci_slot"] = "0", "-1"
	// The kernel refuses the speed of a link that is down.
	if speed, err := h.value(class + "/speed"); err == nil && speed != "" && speed != "-1" {
		row["link_speed"] = speed
	}
	if device := h.link(class + "/device"); device != "" {
		row["pci_slot"] = filepath.Base(device)
	}
}

// interfaceAddresses are the addresses of the interfaces. Like osquery it
// gives an IPv6 link-local address with its zone.
func (h host) interfaceAddresses() facts.Table {
	return facts.Table{
		Name: "interface_addresses", Platforms: onLinux, Whole: true, Source: "netlink",
		Columns: columns("interface text, address text, mask text, broadcast text, point_to_point text, type text"),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			names, err := linkNames()
			if err != nil {
				return nil, err
			}
			addresses, err := dump(unix.RTM_GETADDR)
			if err != nil {
				return nil, err
			}
			var rows []muster.Row
			for _, a := range addresses {
				rows = append(rows, addressRow(a, names))
			}
			return rows, nil
		}),
	}
}

func addressRow(a netlinkMessage, names map[uint64]string) muster.Row {
	family, prefix := a.body[0], int(a.body[1])
	name := names[uint64(binary.NativeEndian.Uint32(a.body[4:]))]
	r := muster.Row{"interface": name, "type": "unknown", "broadcast": a.attrs.ip(unix.IFA_BROADCAST)}
	bits := 128
	if family == unix.AF_INET {
		bits = 32
		// IFA_ADDRESS is the other end's on a point-to-point link, see ifaddrs(3).
		r["address"] = a.attrs.ip(unix.IFA_LOCAL)
		if r["broadcast"] == "" {
			r["point_to_point"] = a.attrs.ip(unix.IFA_ADDRESS)
		}
	} else if r["address"] = a.attrs.ip(unix.IFA_LOCAL); r["address"] != "" {
		r["point_to_point"] = a.attrs.ip(unix.IFA_ADDRESS)
	} else {
		r["address"] = a.attrs.ip(unix.IFA_ADDRESS)
	}
	if ip, err := netip.ParseAddr(r["address"]); err == nil && ip.Is6() && ip.IsLinkLocalUnicast() {
		r["address"] += "%" + name
	}
	if mask, ok := netip.AddrFromSlice(net.CIDRMask(prefix, bits)); ok {
		r["mask"] = mask.String()
	}
	return r
}

// routes are all routes of all tables, as in osquery: /32 and /128 have
// netmask 0, told from a default route by their destination.
func (h host) routes() facts.Table {
	return facts.Table{
		Name: "routes", Platforms: onLinux, Whole: true, Source: "netlink",
		Columns: columns(`destination text, netmask integer, gateway text, source text, flags integer, interface text,
			mtu integer, metric integer, type text, hopcount integer`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			names, err := linkNames()
			if err != nil {
				return nil, err
			}
			messages, err := dump(unix.RTM_GETROUTE)
			if err != nil {
				return nil, err
			}
			var rows []muster.Row
			for _, m := range messages {
				rows = append(rows, routeRow(m, names))
			}
			return rows, nil
		}),
	}
}

var routeTypes = map[byte]string{unix.RTN_UNICAST: "gateway", unix.RTN_LOCAL: "local", unix.RTN_BROADCAST: "broadcast",
	unix.RTN_ANYCAST: "anycast"}

func routeRow(m netlinkMessage, names map[uint64]string) muster.Row {
	family, mask, kind := m.body[0], m.body[1], m.body[7]
	r := muster.Row{
		"destination": m.attrs.ip(unix.RTA_DST), "gateway": m.attrs.ip(unix.RTA_GATEWAY), "source": m.attrs.ip(unix.RTA_PREFSRC),
		"interface": names[m.attrs.number(unix.RTA_OIF)], "metric": strconv.FormatUint(m.attrs.number(unix.RTA_PRIORITY), 10),
		"flags": strconv.FormatUint(uint64(binary.NativeEndian.Uint32(m.body[8:])), 10), "type": "other",
	}
	if t, ok := routeTypes[kind]; ok {
		r["type"] = t
	}
	if r["destination"] == "" {
		r["destination"] = map[byte]string{unix.AF_INET: "0.0.0.0", unix.AF_INET6: "::"}[family]
	}
	if mask == 32 || mask == 128 {
		mask = 0
	}
	r["netmask"] = strconv.Itoa(int(mask))
	metrics := m.attrs.nested(unix.RTA_METRICS)
	r["mtu"] = strconv.FormatUint(metrics.number(unix.RTAX_MTU), 10)
	r["hopcount"] = strconv.FormatUint(metrics.number(unix.RTAX_HOPLIMIT), 10)
	return r
}

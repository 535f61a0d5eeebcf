package builtin

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// listeningPorts are the sockets that wait for somebody, also those in the
// file system (family 1). Without rights the owners of other users' sockets
// are hidden: the table is denied where the statement uses pid or fd.
// Network namespaces of other users' containers are seen by root only.
func (h host) listeningPorts() facts.Table {
	return facts.Table{
		Name: "listening_ports", Platforms: onLinux, Whole: true, Source: "/proc/net",
		Columns: columns(`pid integer, port integer, protocol integer, family integer, address text, fd bigint,
			socket bigint, path text, net_namespace text`),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			sockets, err := h.sockets(ctx, q)
			var rows []muster.Row
			for _, s := range sockets {
				if s.family == unix.AF_UNIX && s.path == "" || s.remotePort != 0 {
					continue
				}
				r := s.row()
				r["address"], r["port"] = s.local, strconv.Itoa(s.localPort)
				if s.family == unix.AF_UNIX {
					r["socket"] = "0"
				}
				rows = append(rows, r)
			}
			return rows, err
		}),
	}
}

// processOpenSockets are all sockets; pid and fd are -1 where no process holds
// one. Rights as for listening_ports.
func (h host) processOpenSockets() facts.Table {
	return facts.Table{
		Name: "process_open_sockets", Platforms: onLinux, Whole: true, Source: "/proc/net",
		Columns: columns(`pid integer, fd bigint, socket bigint, family integer, protocol integer, local_address text,
			remote_address text, local_port integer, remote_port integer, path text, state text, net_namespace text`),
		Rows: list(func(ctx context.Context, q facts.Query) ([]muster.Row, error) {
			sockets, err := h.sockets(ctx, q)
			var rows []muster.Row
			for _, s := range sockets {
				r := s.row()
				r["local_address"], r["local_port"] = s.local, strconv.Itoa(s.localPort)
				r["remote_address"], r["remote_port"] = s.remote, strconv.Itoa(s.remotePort)
				r["state"] = s.state
				rows = append(rows, r)
			}
			return rows, err
		}),
	}
}

type socket struct {
	inode, pid, fd, namespace string
	family, protocol          int
	local, remote             string
	localPort, remotePort     int
	path, state               string
}

func (s socket) row() muster.Row {
	return muster.Row{
		"pid": s.pid, "fd": s.fd, "socket": s.inode, "family": strconv.Itoa(s.family),
		"protocol": strconv.Itoa(s.protocol), "path": s.path, "net_namespace": s.namespace,
	}
}

// sockets lists the sockets of every network namespace that a process is in.
// Who holds them is found in one pass over /proc/*/fd, only if it is asked.
func (h host) sockets(ctx context.Context, q facts.Query) ([]socket, error) {
	pids, err := h.pids(facts.Query{Used: q.Used})
	if err != nil {
		return nil, err
	}
	owners := map[string]socket{}
	if usesAny(q, "pid", "fd") {
		if owners, err = h.socketOwners(ctx, pids); err != nil {
			return nil, err
		}
	}
	var all []socket
	seen := map[string]bool{}
	for _, pid := range append([]string{"self"}, pids...) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		link, err := os.Readlink(h.path("/proc/" + pid + "/ns/net"))
		if err != nil && pid != "self" || seen[link] {
			continue
		}
		seen[link] = true
		sockets, err := h.namespaceSockets(pid)
		if errors.Is(err, fs.ErrNotExist) {
			delete(seen, link) // the process ended: another may be in its namespace
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, s := range sockets {
			s.namespace = strings.Trim(link, "net:[]")
			s.pid, s.fd = "-1", "-1"
			if o, ok := owners[s.inode]; ok {
				s.pid, s.fd = o.pid, o.fd
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// socketOwners maps a socket's inode to the last process that holds it.
func (h host) socketOwners(ctx context.Context, pids []string) (map[string]socket, error) {
	owners := map[string]socket{}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		dir := "/proc/" + pid + "/fd"
		fds, err := h.dir(dir)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, fd := range fds {
			link, err := os.Readlink(h.path(dir + "/" + fd))
			if inode, ok := strings.CutPrefix(link, "socket:["); ok && err == nil {
				owners[strings.TrimSuffix(inode, "]")] = socket{pid: pid, fd: fd}
			}
		}
	}
	return owners, nil
}

// socketFiles are the kernel's lists: name below /proc/PID/net, family, protocol.
var socketFiles = []struct {
	name             string
	family, protocol int
}{
	{"icmp", unix.AF_INET, unix.IPPROTO_ICMP}, {"icmp6", unix.AF_INET6, unix.IPPROTO_ICMP},
	{"tcp", unix.AF_INET, unix.IPPROTO_TCP}, {"tcp6", unix.AF_INET6, unix.IPPROTO_TCP},
	{"udp", unix.AF_INET, unix.IPPROTO_UDP}, {"udp6", unix.AF_INET6, unix.IPPROTO_UDP},
	{"udplite", unix.AF_INET, unix.IPPROTO_UDPLITE}, {"udplite6", unix.AF_INET6, unix.IPPROTO_UDPLITE},
	{"raw", unix.AF_INET, unix.IPPROTO_RAW}, {"raw6", unix.AF_INET6, unix.IPPROTO_RAW},
	{"unix", unix.AF_UNIX, 0}, {"packet", unix.AF_PACKET, 0},
}

func (h host) namespaceSockets(pid string) ([]socket, error) {
	dir := "/proc/" + pid + "/net/"
	var all []socket
	for _, f := range socketFiles {
		text, err := h.textIfAny(dir + f.name) // a kernel without the protocol has no file
		if err != nil {
			return nil, gone(err)
		}
		var sockets []socket
		switch f.family {
		case unix.AF_UNIX:
			sockets = parseUnixSockets(text)
		case unix.AF_PACKET:
			sockets = parsePacketSockets(text)
		default:
			sockets = parseInetSockets(text, f.family, f.protocol)
		}
		all = append(all, sockets...)
	}
	if len(all) == 0 && !h.exists(dir) {
		return nil, fmt.Errorf("read %s: %w", dir, fs.ErrNotExist)
	}
	return all, nil
}

// tcpStates as osquery names them, by the kernel's number.
var tcpStates = []string{"UNKNOWN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSED",
	"CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING"}

// parseInetSockets reads the form of /proc/net/tcp; the first line is a heading.
func parseInetSockets(text string, family, protocol int) []socket {
	var sockets []socket
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || f[0] == "sl" {
			continue
		}
		s := socket{family: family, protocol: protocol, inode: f[9]}
		var ok1, ok2 bool
		s.local, s.localPort, ok1 = parseEndpoint(f[1])
		s.remote, s.remotePort, ok2 = parseEndpoint(f[2])
		if !ok1 || !ok2 {
			continue
		}
		if protocol == unix.IPPROTO_TCP {
			s.state = tcpStates[0]
			if n, err := strconv.ParseUint(f[3], 16, 8); err == nil && int(n) < len(tcpStates) {
				s.state = tcpStates[n]
			}
		}
		sockets = append(sockets, s)
	}
	return sockets
}

// parseEndpoint reads "0100007F:0016": each four bytes of the address in the
// host's order, then the port.
func parseEndpoint(s string) (address string, port int, ok bool) {
	host, p, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(p, 16, 16)
	if err != nil || perr != nil || len(b)%4 != 0 {
		return "", 0, false
	}
	for word := range slices.Chunk(b, 4) {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	ip, ok := netip.AddrFromSlice(b)
	return ip.String(), int(n), ok
}

func parseUnixSockets(text string) []socket {
	var sockets []socket
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 7 || f[0] == "Num" {
			continue
		}
		protocol, _ := strconv.ParseInt(f[2], 16, 32)
		s := socket{family: unix.AF_UNIX, protocol: int(protocol), inode: f[6]}
		if len(f) > 7 {
			s.path = f[7]
		}
		sockets = append(sockets, s)
	}
	return sockets
}

func parsePacketSockets(text string) []socket {
	var sockets []socket
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 9 || f[0] == "sk" {
			continue
		}
		protocol, _ := strconv.ParseUint(f[3], 16, 16)
		sockets = append(sockets, socket{family: unix.AF_PACKET, protocol: int(protocol), inode: f[8], state: "NONE"})
	}
	return sockets
}

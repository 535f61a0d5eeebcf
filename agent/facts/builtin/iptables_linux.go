package builtin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// iptables are the rules for IPv4 of the older kind of firewall: each rule, and
// for each chain a row without target that has its policy and counters. That
// none of its tables is loaded says nothing of nf_tables, where today's iptables
// keeps its rules (see muster_firewall), so the table is unavailable then, where
// osquery has no rows. So it is where this process may open no internet socket.
// Root only.
func (h host) iptables() facts.Table {
	return facts.Table{
		Name: "iptables", Platforms: onLinux, Whole: true, Source: "ip_tables", Preferred: true,
		Columns: columns(`filter_name text, chain text, policy text, target text, protocol integer, src_port text,
			dst_port text, src_ip text, src_mask text, iniface text, iniface_mask text, dst_ip text, dst_mask text,
			outiface text, outiface_mask text, match text, packets integer, bytes integer`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			names, err := h.text("/proc/thread-self/net/ip_tables_names") // of this thread, which may have a network of its own
			if errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(names) == "" {
				return nil, fmt.Errorf("no table of ip_tables is loaded, see muster_firewall: %w", facts.ErrUnavailable)
			}
			var rows []muster.Row
			for name := range strings.FieldsSeq(names) {
				t, err := readIPTable(name)
				switch {
				case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
					err = facts.ErrDenied
				case errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.ENOPROTOOPT):
					err = facts.ErrUnavailable
				}
				if err != nil {
					return nil, fmt.Errorf("ask the kernel for the table %s of ip_tables: %w", name, err)
				}
				some, err := t.rows(name)
				if err != nil {
					return nil, fmt.Errorf("read the table %s of ip_tables: %w", name, err)
				}
				rows = append(rows, some...)
			}
			return rows, err
		}),
	}
}

// Of linux/netfilter_ipv4/ip_tables.h: the options of getsockopt, and where
// struct ipt_getinfo and ipt_get_entries keep things.
const (
	iptGetInfo    = 64
	iptGetEntries = 65
	iptName       = 32
	iptInfoSize   = 84
	iptEntriesAt  = 40
	maxIPTable    = 64 << 20
)

// readIPTable asks for one table, again where it changed between the two questions.
func readIPTable(name string) (ipTable, error) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return ipTable{}, err
	}
	defer unix.Close(s)
	for range 3 {
		info := make([]byte, iptInfoSize)
		copy(info[:iptName-1], name)
		if err := getsockopt(s, iptGetInfo, info); err != nil {
			return ipTable{}, err
		}
		t, size := parseIPTInfo(info)
		if size > maxIPTable {
			return t, fmt.Errorf("%d bytes of rules: %w", size, unix.EMSGSIZE)
		}
		b := make([]byte, iptEntriesAt+int(size))
		copy(b[:iptName-1], name)
		binary.NativeEndian.PutUint32(b[iptName:], size)
		switch err := getsockopt(s, iptGetEntries, b); {
		case errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return t, err
		}
		t.entries = b[iptEntriesAt:]
		return t, nil
	}
	return ipTable{}, unix.EAGAIN
}

// parseIPTInfo reads struct ipt_getinfo: the name, a mask of hooks, the chain of
// each hook, its policy, the number of entries and their size.
func parseIPTInfo(info []byte) (t ipTable, size uint32) {
	u := func(at int) uint32 { return binary.NativeEndian.Uint32(info[at:]) }
	for hook := range iptHooks {
		if u(iptName)&(1<<hook) != 0 {
			t.hooks = append(t.hooks, ipHook{iptHooks[hook], u(iptName + 4 + 4*hook), u(iptName + 24 + 4*hook)})
		}
	}
	return t, u(iptInfoSize - 4)
}

func getsockopt(s, option int, b []byte) error {
	size := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(s), unix.IPPROTO_IP, uintptr(option),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

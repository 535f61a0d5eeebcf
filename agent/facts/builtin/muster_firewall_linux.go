package builtin

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// musterFirewall are the base chains of nf_tables, where the kernel lets a
// firewall look at packets: those of nft, ufw, firewalld and of today's
// iptables. hook says where (input, forward, output…), policy what happens to
// a packet that no rule decides: accept or drop; rules counts the chain's own.
// Root only; a kernel without nf_tables is unavailable.
func (h host) musterFirewall() facts.Table {
	return facts.Table{
		Name: "muster_firewall", Platforms: onLinux, Whole: true, Source: "nf_tables",
		Columns: columns(`family text, table_name text, chain text, type text, hook text, priority integer, policy text,
			rules integer`),
		Rows: list(func(context.Context, facts.Query) ([]muster.Row, error) {
			b, err := dumpChains()
			switch {
			case errors.Is(err, unix.EPERM):
				err = facts.ErrDenied
			case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
				err = facts.ErrUnavailable
			}
			if err != nil {
				return nil, fmt.Errorf("ask the kernel for its firewall: %w", err)
			}
			messages, err := parseNetlink(b)
			return chainRows(messages), err
		}),
	}
}

const (
	nftNewChain    = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWCHAIN
	sizeofNfgenmsg = 4 // family, version, two bytes of number
)

// dumpChains asks nf_tables for all chains of all families.
func dumpChains() ([]byte, error) {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	defer unix.Close(s)
	if err := unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return nil, err
	}
	ask := make([]byte, unix.NLMSG_HDRLEN+sizeofNfgenmsg)
	binary.NativeEndian.PutUint32(ask, uint32(len(ask)))
	binary.NativeEndian.PutUint16(ask[4:], unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETCHAIN)
	binary.NativeEndian.PutUint16(ask[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	if err := unix.Sendto(s, ask, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var all []byte
	b := make([]byte, 1<<16)
	for {
		n, _, err := unix.Recvfrom(s, b, 0)
		if err != nil {
			return nil, err
		}
		messages, err := syscall.ParseNetlinkMessage(b[:n])
		if err != nil {
			return nil, err
		}
		all = append(all, b[:n]...)
		for _, m := range messages {
			switch m.Header.Type {
			case unix.NLMSG_DONE:
				return all, nil
			case unix.NLMSG_ERROR:
				if len(m.Data) < 4 {
					return nil, unix.EPROTO
				}
				return nil, unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
			}
		}
	}
}

var netfilterFamilies = map[byte]string{unix.NFPROTO_INET: "inet", unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6",
	unix.NFPROTO_ARP: "arp", unix.NFPROTO_BRIDGE: "bridge", unix.NFPROTO_NETDEV: "netdev"}

var netfilterHooks = []string{"prerouting", "input", "forward", "output", "postrouting"}

func chainRows(messages []netlinkMessage) []muster.Row {
	var rows []muster.Row
	for _, m := range messages {
		hook := m.attrs.nested(unix.NFTA_CHAIN_HOOK)
		if len(m.attrs[unix.NFTA_CHAIN_HOOK]) == 0 {
			continue // not a base chain: it only serves others
		}
		r := muster.Row{
			"family": netfilterFamilies[m.body[0]], "table_name": m.attrs.text(unix.NFTA_CHAIN_TABLE),
			"chain": m.attrs.text(unix.NFTA_CHAIN_NAME), "type": m.attrs.text(unix.NFTA_CHAIN_TYPE), "policy": "drop",
			"rules":    strconv.FormatUint(uint64(m.attrs.big(unix.NFTA_CHAIN_USE)), 10),
			"priority": strconv.Itoa(int(int32(hook.big(unix.NFTA_HOOK_PRIORITY)))),
		}
		if m.attrs.big(unix.NFTA_CHAIN_POLICY) != 0 {
			r["policy"] = "accept"
		}
		if n := hook.big(unix.NFTA_HOOK_HOOKNUM); int(n) < len(netfilterHooks) && m.body[0] != unix.NFPROTO_NETDEV {
			r["hook"] = netfilterHooks[n]
		}
		rows = append(rows, r)
	}
	return rows
}

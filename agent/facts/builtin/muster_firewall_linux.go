package builtin

import (
	"context"
	"errors"
	"fmt"
	"strconv"

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
			raw, err := askNetlink(unix.NETLINK_NETFILTER, nftGetChain, unix.NLM_F_REQUEST|unix.NLM_F_DUMP,
				make([]byte, sizeofNfgenmsg), unix.NLMSG_DONE)
			switch {
			case errors.Is(err, unix.EPERM):
				err = facts.ErrDenied
			case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
				err = facts.ErrUnavailable
			}
			if err != nil {
				return nil, fmt.Errorf("ask the kernel for its firewall: %w", err)
			}
			return chainRows(readNetlink(raw)), nil
		}),
	}
}

const (
	nftGetChain    = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETCHAIN
	nftNewChain    = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWCHAIN
	sizeofNfgenmsg = 4 // family, version, two bytes of number
)

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

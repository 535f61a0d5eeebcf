package builtin

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// TestFirewall gives a network namespace of its own a firewall that drops what
// comes in, and reads it back. Others than root are denied.
func TestFirewall(t *testing.T) {
	if os.Geteuid() != 0 {
		if _, err := gather(t, host{}.musterFirewall()); !errors.Is(err, facts.ErrDenied) && !errors.Is(err, facts.ErrUnavailable) {
			t.Errorf("got %v, want denied", err)
		}
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread and its namespace end here
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = newChain("county", "guard", "filter", unix.NF_INET_LOCAL_IN, 0)
		}
		rows, readErr := gather(t, host{}.musterFirewall())
		if err != nil {
			t.Log("cannot make a firewall here: ", err)
			if readErr != nil && !errors.Is(readErr, facts.ErrUnavailable) && !errors.Is(readErr, facts.ErrDenied) {
				t.Error(readErr)
			}
			return
		}
		want := muster.Row{"family": "inet", "table_name": "county", "chain": "guard", "type": "filter", "hook": "input",
			"priority": "-5", "policy": "drop", "rules": "0"}
		if readErr != nil || len(rows) != 1 || rowWith(rows, want) == nil {
			t.Errorf("got %v (%v), want %v", rows, readErr, want)
		}
	}()
	<-done
}

func attr(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.NLA_HDRLEN+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

func attrText(kind uint16, s string) []byte { return attr(kind, append([]byte(s), 0)) }

func attrBig(kind uint16, n int32) []byte {
	return attr(kind, binary.BigEndian.AppendUint32(nil, uint32(n)))
}

// newChain makes a table of the family inet and one base chain in it; policy 0
// drops.
func newChain(table, chain, kind string, hook, policy int32) error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	message := func(kind, flags uint16, family byte, number uint16, attrs ...[]byte) []byte {
		body := append([]byte{family, 0}, binary.BigEndian.AppendUint16(nil, number)...)
		for _, a := range attrs {
			body = append(body, a...)
		}
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
		return append(append(b, make([]byte, 8)...), body...)
	}
	const nft = unix.NFNL_SUBSYS_NFTABLES << 8
	batch := message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, unix.NFNL_SUBSYS_NFTABLES)
	batch = append(batch, message(nft|unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, unix.NFPROTO_INET, 0,
		attrText(unix.NFTA_TABLE_NAME, table))...)
	at := append(attrBig(unix.NFTA_HOOK_HOOKNUM, hook), attrBig(unix.NFTA_HOOK_PRIORITY, -5)...)
	batch = append(batch, message(nft|unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE|unix.NLM_F_ACK, unix.NFPROTO_INET, 0,
		attrText(unix.NFTA_CHAIN_TABLE, table), attrText(unix.NFTA_CHAIN_NAME, chain), attrText(unix.NFTA_CHAIN_TYPE, kind),
		attr(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED, at), attrBig(unix.NFTA_CHAIN_POLICY, policy))...)
	batch = append(batch, message(unix.NFNL_MSG_BATCH_END, 0, 0, unix.NFNL_SUBSYS_NFTABLES)...)
	if err := unix.Sendto(s, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	b := make([]byte, 4096)
	n, _, err := unix.Recvfrom(s, b, 0)
	if err != nil {
		return err
	}
	if n < 20 {
		return unix.EPROTO
	}
	if code := -int32(binary.NativeEndian.Uint32(b[16:])); code != 0 {
		return unix.Errno(code)
	}
	return nil
}

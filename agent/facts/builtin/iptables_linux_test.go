package builtin

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// TestIPTables gives a network namespace of its own rules by iptables-legacy,
// where that is at hand, and reads them back. Others than root are denied.
func TestIPTables(t *testing.T) {
	if os.Geteuid() != 0 {
		if _, err := gather(t, host{}.iptables()); !errors.Is(err, facts.ErrDenied) && !errors.Is(err, facts.ErrUnavailable) {
			t.Errorf("got %v, want denied", err)
		}
		return
	}
	command, err := exec.LookPath("iptables-legacy")
	if err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread and its namespace end here
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		for i, args := range [][]string{
			{"-P", "INPUT", "DROP"}, {"-N", "county"}, {"-A", "INPUT", "-i", "lo", "-j", "ACCEPT"},
			{"-A", "INPUT", "-p", "tcp", "--dport", "22", "-s", "192.0.2.0/24", "-j", "county"},
			{"-A", "INPUT", "!", "-i", "eth+", "-d", "10.0.0.1"}, {"-A", "county", "-j", "RETURN"},
			{"-A", "county", "-p", "udp", "!", "-s", "192.0.2.1", "--sport", "53", "-j", "REJECT"},
		} {
			if out, err := exec.Command(command, args...).CombinedOutput(); err != nil {
				t.Logf("cannot make rule %d here: %s", i, out)
				return
			}
		}
		rows, err := gather(t, host{}.iptables())
		if err != nil {
			t.Error(err)
		}
		for _, want := range []muster.Row{
			{"chain": "INPUT", "policy": "DROP", "target": "ACCEPT", "iniface": "lo", "outiface": "all", "protocol": "0", "iniface_mask": "FFFFFF"},
			{"chain": "INPUT", "target": "county", "protocol": "6", "src_port": "0:65535", "dst_port": "22:22", "src_ip": "192.0.2.0", "src_mask": "255.255.255.0"},
			{"chain": "INPUT", "target": "", "iniface": "!eth+", "dst_ip": "10.0.0.1", "dst_mask": "255.255.255.255", "iniface_mask": "FFFFFF"},
			{"chain": "INPUT", "policy": "DROP", "match": ""}, {"chain": "FORWARD", "policy": "ACCEPT", "match": ""},
			{"chain": "OUTPUT", "policy": "ACCEPT"}, {"chain": "county", "target": "RETURN", "policy": ""},
			{"chain": "county", "target": "REJECT", "protocol": "17", "src_ip": "!192.0.2.1", "src_port": "53:53", "dst_port": "0:65535"},
			{"chain": "county", "policy": "", "match": "", "packets": "0"},
		} {
			if rowWith(rows, want) == nil {
				t.Errorf("no row %v", want)
			}
		}
		if len(rows) != 9 {
			t.Errorf("%d rows: %v", len(rows), rows)
		}
	}()
	<-done
}

// ipEntryOf makes an entry of the plain target.
func ipEntryOf(verdict int32) []byte {
	e := make([]byte, iptEntrySize+xtHeadSize+8)
	binary.NativeEndian.PutUint16(e[iptTargetOffset:], iptEntrySize)
	binary.NativeEndian.PutUint16(e[iptNextOffset:], uint16(len(e)))
	binary.NativeEndian.PutUint16(e[iptEntrySize:], xtHeadSize+8)
	binary.NativeEndian.PutUint32(e[iptEntrySize+xtHeadSize:], uint32(verdict))
	return e
}

// FuzzIPTable: a table gives no more rows than it has entries, and addresses
// and policies are what they should be.
func FuzzIPTable(f *testing.F) {
	head := ipEntryOf(0)
	copy(head[iptEntrySize+2:], "ERROR\x00")
	copy(head[iptEntrySize+xtHeadSize:], "mine")
	f.Add(slices.Concat(ipEntryOf(-2), head, ipEntryOf(-1), ipEntryOf(-5), head), uint32(0))
	f.Add(ipEntryOf(-1)[:120], uint32(7))
	f.Fuzz(func(t *testing.T, b []byte, policy uint32) {
		table := ipTable{hooks: []ipHook{{"INPUT", 0, policy}}, entries: b}
		rows, err := table.rows("filter")
		if err == nil && len(rows) > 2*len(b)/(iptEntrySize+xtHeadSize) {
			t.Errorf("%d rows of %d bytes", len(rows), len(b))
		}
		for _, r := range rows {
			if r["policy"] != "" && !slices.Contains(verdicts, r["policy"]) || r["filter_name"] != "filter" {
				t.Errorf("bad row %v", r)
			}
		}
	})
}

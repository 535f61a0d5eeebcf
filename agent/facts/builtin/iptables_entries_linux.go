package builtin

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/passmuster/muster"
)

// ipTable is a table of ip_tables as the kernel gives it: entries one behind the
// other, and at which of them each hook's chain and policy are.
type ipTable struct {
	hooks   []ipHook
	entries []byte
}

type ipHook struct {
	chain         string
	start, policy uint32
}

var iptHooks = []string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}

// Places in struct ipt_entry and in xt_entry_match, which a target resembles.
const (
	iptEntrySize    = 112
	iptTargetOffset = 88
	iptNextOffset   = 90
	iptCounters     = 96
	xtHeadSize      = 32
	xtNameSize      = 29
)

// ipEntry is one entry; data are its matches and its target.
type ipEntry struct {
	offset     uint32
	b          []byte
	targetFrom int
}

func (t ipTable) walk(visit func(e ipEntry)) error {
	for at := 0; at < len(t.entries); {
		b := t.entries[at:]
		if len(b) < iptEntrySize+xtHeadSize {
			return errors.New("an entry is cut short")
		}
		target := int(binary.NativeEndian.Uint16(b[iptTargetOffset:]))
		next := int(binary.NativeEndian.Uint16(b[iptNextOffset:]))
		if target < iptEntrySize || next < target+xtHeadSize || next > len(b) {
			return errors.New("an entry has false lengths")
		}
		visit(ipEntry{uint32(at), b[:next], target})
		at += next
	}
	return nil
}

// target is the name of what a rule does; of the plain one, which has none, the
// verdict: a number below zero, or the offset to go on at.
func (e ipEntry) target() (name string, verdict int32) {
	t := e.b[e.targetFrom:]
	name = unix.ByteSliceToString(t[2 : 2+xtNameSize])
	if name == "" && len(t) >= xtHeadSize+4 {
		verdict = int32(binary.NativeEndian.Uint32(t[xtHeadSize:]))
	}
	return name, verdict
}

// userChain is the name of the chain that begins at the entry, or "".
func (e ipEntry) userChain() string {
	if name, _ := e.target(); name == "ERROR" {
		return unix.ByteSliceToString(e.b[e.targetFrom+xtHeadSize:])
	}
	return ""
}

func (e ipEntry) counters() (packets, bytes string) {
	u := func(at int) string { return strconv.FormatUint(binary.NativeEndian.Uint64(e.b[at:]), 10) }
	return u(iptCounters), u(iptCounters + 8)
}

// verdicts are the names of NF_DROP and so on, by -verdict-1.
var verdicts = []string{"DROP", "ACCEPT", "STOLEN", "QUEUE", "RETURN"}

func verdictName(v int32) string {
	if n := -int64(v) - 1; n >= 0 && n < int64(len(verdicts)) {
		return verdicts[n]
	}
	return ""
}

// rows are the rules of each chain and then the chain itself.
func (t ipTable) rows(table string) ([]muster.Row, error) {
	chains := map[uint32]string{} // where to jump to
	var entries []ipEntry
	if err := t.walk(func(e ipEntry) {
		entries = append(entries, e)
		if name := e.userChain(); name != "" {
			chains[e.offset+uint32(len(e.b))] = name
		}
	}); err != nil {
		return nil, err
	}
	var rows []muster.Row
	var rules []muster.Row
	chain := muster.Row{}
	begin := func(name string) {
		chain = muster.Row{"filter_name": table, "chain": name, "packets": "0", "bytes": "0"}
		rules = nil
	}
	end := func() {
		for _, r := range rules {
			r["policy"], r["packets"], r["bytes"] = chain["policy"], chain["packets"], chain["bytes"]
		}
		rows = append(append(rows, rules...), chain)
	}
	for i, e := range entries {
		for _, h := range t.hooks {
			if h.start == e.offset {
				begin(h.chain)
			}
		}
		if name := e.userChain(); name != "" {
			begin(name)
			continue
		}
		policy := false
		for _, h := range t.hooks {
			policy = policy || h.policy == e.offset
		}
		switch _, verdict := e.target(); {
		case policy:
			chain["policy"] = verdictName(verdict)
			chain["packets"], chain["bytes"] = e.counters()
			end()
		case i+1 < len(entries) && entries[i+1].userChain() != "":
			end() // the last entry of a chain of one's own goes back
		default:
			r := e.rule(chains)
			r["filter_name"], r["chain"] = table, chain["chain"]
			rules = append(rules, r)
		}
	}
	return rows, nil
}

// Bits of ipt_ip.invflags: not this.
const (
	invIn = 1 << iota
	invOut
	_
	invSource
	invDestination
	_
	invProtocol
)

// rule reads struct ipt_ip: source, destination and their masks, the names of
// the interfaces and their masks, protocol, flags and what is inverted. match is
// "yes" for every rule, as in osquery, whose library says so.
func (e ipEntry) rule(chains map[uint32]string) muster.Row {
	inverted := e.b[83]
	not := func(bit byte, s string) string {
		if inverted&bit != 0 {
			return "!" + s
		}
		return s
	}
	address := func(at int) string { return netip.AddrFrom4([4]byte(e.b[at : at+4])).String() }
	port := func(bit byte, at int) string {
		if name := unix.ByteSliceToString(e.b[at : at+16]); name != "" {
			return not(bit, name)
		}
		return "all"
	}
	mask := func(at int) string {
		text := unix.ByteSliceToString(e.b[at : at+16])
		return strings.ToUpper(hex.EncodeToString([]byte(text)))
	}
	protocol := binary.NativeEndian.Uint16(e.b[80:])
	name, verdict := e.target()
	if name == "" {
		if name = verdictName(verdict); verdict >= 0 {
			name = chains[uint32(verdict)]
		}
	}
	r := muster.Row{"target": name, "match": "yes", "protocol": not(invProtocol, strconv.Itoa(int(protocol))),
		"src_ip": not(invSource, address(0)), "dst_ip": not(invDestination, address(4)),
		"src_mask": address(8), "dst_mask": address(12), "iniface": port(invIn, 16), "outiface": port(invOut, 32),
		"iniface_mask": mask(48), "outiface_mask": mask(64)}
	if protocol == unix.IPPROTO_TCP || protocol == unix.IPPROTO_UDP {
		r["src_port"], r["dst_port"] = e.ports()
	}
	return r
}

// ports are those of the match tcp or udp, all where the rule has none.
func (e ipEntry) ports() (source, destination string) {
	for b := e.b[iptEntrySize:e.targetFrom]; len(b) >= xtHeadSize; {
		size := int(binary.NativeEndian.Uint16(b))
		if size < xtHeadSize || size > len(b) {
			break
		}
		name := unix.ByteSliceToString(b[2 : 2+xtNameSize])
		if (name == "tcp" || name == "udp") && size >= xtHeadSize+8 {
			p := func(at int) string {
				return strconv.Itoa(int(binary.NativeEndian.Uint16(b[xtHeadSize+at:])))
			}
			return p(0) + ":" + p(2), p(4) + ":" + p(6)
		}
		b = b[size:]
	}
	return "0:65535", "0:65535"
}

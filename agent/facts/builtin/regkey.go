package builtin

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// regTypes are osquery's names of the registry's value types, by number.
var regTypes = []string{
	"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN",
	"REG_LINK", "REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "UNKNOWN", "REG_QWORD",
}

func regType(t uint32) string {
	if int(t) < len(regTypes) {
		return regTypes[t]
	}
	return "UNKNOWN"
}

// regData writes a registry value as osquery does: DWORD as a signed number,
// QWORD unsigned, several strings joined by commas, bytes in upper-case hex.
// A number of the wrong length is "".
func regData(t uint32, b []byte) string {
	switch regType(t) {
	case "REG_NONE":
		return "(zero-length binary value)"
	case "REG_SZ", "REG_EXPAND_SZ", "REG_LINK":
		s, _, _ := strings.Cut(utf16Text(b), "\x00")
		return s
	case "REG_MULTI_SZ":
		list, _, _ := strings.Cut(utf16Text(b), "\x00\x00")
		return strings.ReplaceAll(strings.Trim(list, "\x00"), "\x00", ",")
	case "REG_DWORD":
		if len(b) == 4 {
			return strconv.FormatInt(int64(int32(binary.LittleEndian.Uint32(b))), 10)
		}
	case "REG_DWORD_BIG_ENDIAN":
		if len(b) == 4 {
			return strconv.FormatUint(uint64(binary.BigEndian.Uint32(b)), 10)
		}
	case "REG_QWORD":
		if len(b) == 8 {
			return strconv.FormatUint(binary.LittleEndian.Uint64(b), 10)
		}
	case "REG_BINARY", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR":
		return strings.ToUpper(hex.EncodeToString(b))
	}
	return ""
}

// utf16Text decodes little-endian UTF-16; an odd last byte is dropped.
func utf16Text(b []byte) string {
	wide := make([]uint16, len(b)/2)
	for i := range wide {
		wide[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(wide))
}

// regPattern is a registry key, or a LIKE pattern of keys, cut into its hive
// and the elements below.
type regPattern struct {
	hive  string
	elems []string
	// deep: the pattern ended in %%; every key at or below elems is meant.
	deep bool
}

// parseRegPattern cuts a key or LIKE pattern as osquery does: an element with %
// stands for one level, and only %% at the end for any number of levels. An
// underscore stands for itself unless its element has a % too.
func parseRegPattern(s string) regPattern {
	hive, rest, _ := strings.Cut(s, `\`)
	p := regPattern{hive: hive}
	for e := range strings.SplitSeq(rest, `\`) {
		if e != "" {
			p.elems = append(p.elems, e)
		}
	}
	if n := len(p.elems); n > 0 && strings.HasSuffix(p.elems[n-1], "%%") {
		p.elems, p.deep = p.elems[:n-1], true
	}
	return p
}

// regTree lists the names of the keys below a key. A key that is not there has
// none and is no error.
type regTree func(key string) ([]string, error)

// expand calls visit for every key that the pattern names, in the tree's order.
func (p regPattern) expand(subkeys regTree, visit func(key string) error) error {
	return p.walk(p.hive, p.elems, subkeys, visit)
}

func (p regPattern) walk(key string, elems []string, subkeys regTree, visit func(key string) error) error {
	switch {
	case len(elems) > 0 && !strings.Contains(elems[0], "%"):
		return p.walk(key+`\`+elems[0], elems[1:], subkeys, visit)
	case len(elems) == 0:
		if err := visit(key); err != nil || !p.deep {
			return err
		}
	}
	names, err := subkeys(key)
	if err != nil {
		return err
	}
	for _, name := range names {
		if len(elems) > 0 && !sqlLike(elems[0], name) {
			continue
		}
		if err := p.walk(key+`\`+name, elems[min(1, len(elems)):], subkeys, visit); err != nil {
			return err
		}
	}
	return nil
}

// sqlLike is SQLite's LIKE: % is any text, _ any one character, letters of
// ASCII match in either case.
func sqlLike(pattern, s string) bool {
	p, r := []rune(pattern), []rune(s)
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(r) {
		switch {
		case i < len(p) && p[i] == '%':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '_' || lowerASCII(p[i]) == lowerASCII(r[j])):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(string(p[i:]), "%") == ""
}

func lowerASCII(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// msiGUID turns a GUID as Windows Installer packs it into key names
// (2CCAB6107DB47314AB175756630CCD04) into its usual form in braces; "" where
// it is none.
func msiGUID(packed string) string {
	if len(packed) != 32 || strings.Trim(strings.ToUpper(packed), "0123456789ABCDEF") != "" {
		return ""
	}
	out := make([]byte, 0, 32)
	for _, n := range []int{8, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2} {
		for i := n - 1; i >= 0; i-- {
			out = append(out, packed[i])
		}
		packed = packed[n:]
	}
	return fmt.Sprintf("{%s-%s-%s-%s-%s}", out[:8], out[8:12], out[12:16], out[16:20], out[20:])
}

package builtin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// GVariant is how dconf and GSettings write values: see "GVariant Specification"
// by Allison Ryan Lortie. Only what those files hold is read: basic types,
// arrays, tuples, dictionary entries and variants.

// maxNesting bounds how deep a value's types may lie in one another.
const maxNesting = 16

var errVariant = errors.New("no valid GVariant")

// gvariant is one value: its type and its bytes.
type gvariant struct {
	typ  string
	data []byte
}

// parseBoxed reads a value of type v: the bytes of a value, 0 and its type.
func parseBoxed(b []byte) (gvariant, error) {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != 0 {
			continue
		}
		typ := string(b[i+1:])
		if n, err := typeLength(typ, 0); err != nil || n != len(typ) {
			return gvariant{}, errVariant
		}
		return gvariant{typ, b[:i]}, nil
	}
	return gvariant{}, errVariant
}

// typeLength is the length of the first complete type of a list of types.
func typeLength(types string, depth int) (int, error) {
	if types == "" || depth > maxNesting {
		return 0, errVariant
	}
	switch c := types[0]; {
	case strings.IndexByte("bynqiuxtdhsogv", c) >= 0:
		return 1, nil
	case c == 'a' || c == 'm':
		n, err := typeLength(types[1:], depth+1)
		return n + 1, err
	case c == '(' || c == '{':
		end := map[byte]byte{'(': ')', '{': '}'}[c]
		for at := 1; at < len(types); {
			if types[at] == end {
				return at + 1, nil
			}
			n, err := typeLength(types[at:], depth+1)
			if err != nil {
				return 0, err
			}
			at += n
		}
	}
	return 0, errVariant
}

// layout is a type's alignment, and its size or 0 where that varies.
func layout(typ string) (align, size int) {
	switch typ[0] {
	case 'b', 'y':
		return 1, 1
	case 'n', 'q':
		return 2, 2
	case 'i', 'u', 'h':
		return 4, 4
	case 'x', 't', 'd':
		return 8, 8
	case 'v':
		return 8, 0
	case 'a', 'm':
		align, _ = layout(typ[1:])
		return align, 0
	case '(', '{':
		align = 1
		fixed := true
		for _, m := range members(typ) {
			a, n := layout(m)
			align = max(align, a)
			size = roundUp(size, a) + n
			fixed = fixed && n > 0
		}
		if !fixed {
			return align, 0
		}
		return align, max(roundUp(size, align), 1) // the empty tuple is one byte
	}
	return 1, 0
}

func roundUp(n, align int) int { return (n + align - 1) / align * align }

// members are the types of a valid tuple's or entry's parts.
func members(typ string) (all []string) {
	for rest := typ[1 : len(typ)-1]; rest != ""; {
		n, err := typeLength(rest, 0)
		if err != nil {
			return all
		}
		all, rest = append(all, rest[:n]), rest[n:]
	}
	return all
}

// parts are a container's values: the members of a tuple or an entry, the
// items of an array, the content of a variant.
func (v gvariant) parts() ([]gvariant, error) {
	switch v.typ[0] {
	case 'v':
		inner, err := parseBoxed(v.data)
		return []gvariant{inner}, err
	case '(', '{':
		return v.tuple()
	case 'a':
		return v.array()
	}
	return nil, fmt.Errorf("a value of type %s has no parts: %w", v.typ, errVariant)
}

// tuple reads the members. Those of a varying size, but for the last, have
// their end in a list at the tuple's end, last first.
func (v gvariant) tuple() ([]gvariant, error) {
	var all []gvariant
	types := members(v.typ)
	width := offsetWidth(len(v.data))
	at, ends := 0, len(v.data)
	for i, typ := range types {
		align, size := layout(typ)
		at = roundUp(at, align)
		end := at + size
		if size == 0 {
			end = ends
			if i < len(types)-1 {
				if ends < width {
					return nil, errVariant
				}
				ends -= width
				end = offset(v.data[ends : ends+width])
			}
		}
		if at > end || end > ends {
			return nil, errVariant
		}
		all = append(all, gvariant{typ, v.data[at:end]})
		at = end
	}
	return all, nil
}

// array reads the items. Those of a varying size have their ends in a list
// after the last one.
func (v gvariant) array() ([]gvariant, error) {
	typ := v.typ[1:]
	align, size := layout(typ)
	if len(v.data) == 0 {
		return nil, nil
	}
	var all []gvariant
	if size > 0 {
		if len(v.data)%size != 0 {
			return nil, errVariant
		}
		for at := 0; at < len(v.data); at += size {
			all = append(all, gvariant{typ, v.data[at : at+size]})
		}
		return all, nil
	}
	width := offsetWidth(len(v.data))
	first := offset(v.data[len(v.data)-width:])
	if first > len(v.data)-width || (len(v.data)-first)%width != 0 {
		return nil, errVariant
	}
	at := 0
	for p := first; p < len(v.data); p += width {
		at = roundUp(at, align)
		end := offset(v.data[p : p+width])
		if at > end || end > first {
			return nil, errVariant
		}
		all = append(all, gvariant{typ, v.data[at:end]})
		at = end
	}
	return all, nil
}

// offsetWidth is how many bytes an offset takes in a container of n bytes.
func offsetWidth(n int) int {
	switch {
	case n <= math.MaxUint8:
		return 1
	case n <= math.MaxUint16:
		return 2
	case n <= math.MaxUint32:
		return 4
	}
	return 8
}

func offset(b []byte) int { return int(min(little(b), math.MaxInt32)) }

// little reads a little-endian number of up to eight bytes.
func little(b []byte) uint64 {
	var whole [8]byte
	copy(whole[:], b)
	return binary.LittleEndian.Uint64(whole[:])
}

// text writes a truth, a number or a text as it stands, without quotes or type.
func (v gvariant) text() (string, error) {
	if _, size := layout(v.typ); size != 0 && size != len(v.data) {
		return "", errVariant
	}
	n := little(v.data[:min(len(v.data), 8)])
	switch v.typ {
	case "b":
		return strconv.FormatBool(n != 0), nil
	case "y", "q", "u", "t":
		return strconv.FormatUint(n, 10), nil
	case "n":
		return strconv.Itoa(int(int16(n))), nil
	case "i":
		return strconv.Itoa(int(int32(n))), nil
	case "x":
		return strconv.FormatInt(int64(n), 10), nil
	case "d":
		return strconv.FormatFloat(math.Float64frombits(n), 'g', -1, 64), nil
	case "s", "o", "g":
		if len(v.data) == 0 || v.data[len(v.data)-1] != 0 {
			return "", errVariant
		}
		return string(v.data[:len(v.data)-1]), nil
	}
	return "", fmt.Errorf("a value of type %s is no text: %w", v.typ, errVariant)
}

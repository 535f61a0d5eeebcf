package cab

import (
	"encoding/binary"
	"math/bits"
)

const (
	// Strings from minTree bytes are looked for in trees.
	minTree = 4
	// maxDepth is how many strings of a tree are compared for one place. With 16, and 48
	// to be nice, programs get 1.5 % smaller, and it takes a third longer.
	maxDepth = 8
	// niceLength is how far strings of a tree are compared, and what is not improved on.
	niceLength = 32

	hash3Bits, hash4Bits = 16, 19
	hashFactor           = 0x9E3779B1
)

// match is a string that was there before: length bytes, offset bytes back.
type match struct{ length, offset uint32 }

// finder finds for each place of data earlier strings that are the same. Those that begin
// with the same four bytes hang in a binary tree sorted by content with the newest at the
// root. Places are stored plus one, so that 0 is none.
type finder struct {
	data  []byte
	last2 []int32    // the last place of each two bytes
	last3 []int32    // of each three bytes, by hash
	roots []int32    // of the tree of each four bytes, by hash
	sons  [][2]int32 // the smaller and the greater strings below a place, by place modulo window
}

func newFinder(data []byte) *finder {
	return &finder{
		data:  data,
		last2: make([]int32, 1<<16),
		last3: make([]int32, 1<<hash3Bits),
		roots: make([]int32, 1<<hash4Bits),
		sons:  make([][2]int32, min(window, len(data))),
	}
}

// findAll returns the matches at each place of data[start:end], the nearest of each
// length and the longer the later. It goes through data once, without gaps.
func (f *finder) findAll(start, end int) [][]match {
	all := make([]match, 0, 4*(end-start))
	ends := make([]int, end-start)
	for i := range ends {
		all = f.find(start+i, all)
		ends[i] = len(all)
	}
	matches := make([][]match, end-start)
	begin := 0
	for i, end := range ends {
		matches[i], begin = all[begin:end], end
	}
	return matches
}

// find appends the matches at one place.
func (f *finder) find(at int, found []match) []match {
	rest := f.data[at:min(at+maxMatch, len(f.data))]
	if len(rest) < minTree {
		return found
	}
	word := binary.LittleEndian.Uint32(rest)
	best := 1
	last2, last3 := &f.last2[word&0xffff], &f.last3[word<<8*hashFactor>>(32-hash3Bits)]
	from2, from3 := int(*last2)-1, int(*last3)-1
	*last2, *last3 = int32(at)+1, int32(at)+1
	if from2 >= 0 && at-from2 <= maxOffset {
		best = common(f.data[from2:], rest, 2, len(rest))
		found = append(found, match{uint32(best), uint32(at - from2)})
	}
	if best == 2 && from3 >= 0 && at-from3 <= maxOffset {
		if n := common(f.data[from3:], rest, 0, len(rest)); n > best {
			best = n
			found = append(found, match{uint32(best), uint32(at - from3)})
		}
	}

	root := &f.roots[word*hashFactor>>(32-hash4Bits)]
	from := int(*root) - 1
	*root = int32(at) + 1
	// The new root parts the tree: what is smaller than rest goes to its left, what is
	// greater to its right. All that is between shares with rest what both sides share.
	smaller, greater := &f.sons[at%window][0], &f.sons[at%window][1]
	shareSmaller, shareGreater := 0, 0
	nice := min(niceLength, len(rest))
	for depth := 0; depth < maxDepth && from >= 0 && at-from <= maxOffset; depth++ {
		old, sons := f.data[from:], &f.sons[from%window]
		n := common(old, rest, min(shareSmaller, shareGreater), nice)
		if n > best {
			best = n
			if n == nice {
				best = common(old, rest, n, len(rest))
			}
			found = append(found, match{uint32(best), uint32(at - from)})
		}
		if n == nice {
			*smaller, *greater = sons[0], sons[1] // the new string stands for the old one
			return found
		}
		if old[n] < rest[n] {
			*smaller = int32(from) + 1
			smaller, shareSmaller = &sons[1], n
			from = int(sons[1]) - 1
		} else {
			*greater = int32(from) + 1
			greater, shareGreater = &sons[0], n
			from = int(sons[0]) - 1
		}
	}
	*smaller, *greater = 0, 0
	return found
}

// common counts the bytes that a and b share, of which n are known, up to limit.
func common(a, b []byte, n, limit int) int {
	a, b = a[:limit], b[:limit]
	for ; n+8 <= limit; n += 8 {
		if x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:]); x != 0 {
			return n + bits.TrailingZeros64(x)/8
		}
	}
	for n < limit && a[n] == b[n] {
		n++
	}
	return n
}

package cab

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// bitWriter writes a stream of 16-bit words, little-endian, each filled from the top.
type bitWriter struct {
	out  []byte
	bits uint64
	n    int // the last bits, fewer than 16, that are not in out
}

func (w *bitWriter) write(value uint32, n int) {
	w.bits = w.bits<<n | uint64(value)
	for w.n += n; w.n >= 16; {
		w.n -= 16
		w.out = binary.LittleEndian.AppendUint16(w.out, uint16(w.bits>>w.n))
	}
}

// align fills the last word with zeros.
func (w *bitWriter) align() {
	if w.n > 0 {
		w.write(0, 16-w.n)
	}
}

// code is a prefix code: for each symbol how long its word is, 0 if it has none, and
// the word.
type code struct {
	lengths []byte
	words   []uint16
}

// newCode makes the shortest code for symbols that occur so often, or nearly so where a
// word would be longer than limit. It is complete and has two symbols at least: decoders
// disagree about others.
func newCode(counts []uint32, limit int) code {
	type node struct {
		weight uint32
		symbol int
		pair   [2]int // of nodes, unless it is a symbol
	}
	var nodes []node
	for symbol, n := range counts {
		if n > 0 {
			nodes = append(nodes, node{weight: n, symbol: symbol})
		}
	}
	for symbol := 0; len(nodes) < 2; symbol++ {
		if counts[symbol] == 0 {
			nodes = append(nodes, node{weight: 1, symbol: symbol})
		}
	}
	c := code{make([]byte, len(counts)), make([]uint16, len(counts))}
	leaves := len(nodes)
	for longest := limit + 1; longest > limit; {
		slices.SortFunc(nodes, func(a, b node) int {
			return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(a.symbol, b.symbol))
		})
		// Two queues, both sorted: the symbols, and behind them what was paired.
		next := [2]int{0, leaves}
		least := func() int {
			queue := 0
			if next[0] == leaves || next[1] < len(nodes) && nodes[next[1]].weight < nodes[next[0]].weight {
				queue = 1
			}
			next[queue]++
			return next[queue] - 1
		}
		for len(nodes) < 2*leaves-1 {
			a, b := least(), least()
			nodes = append(nodes, node{weight: nodes[a].weight + nodes[b].weight, pair: [2]int{a, b}})
		}
		depth := make([]int, len(nodes))
		for i := len(nodes) - 1; i >= leaves; i-- {
			for _, of := range nodes[i].pair {
				depth[of] = depth[i] + 1
			}
		}
		longest = slices.Max(depth)
		nodes = nodes[:leaves]
		for i := range nodes {
			c.lengths[nodes[i].symbol] = byte(depth[i])
			nodes[i].weight = nodes[i].weight/2 + 1 // should it be too long: flatter, so less deep
		}
	}
	word := uint16(0)
	for length := 1; length <= limit; length++ {
		word <<= 1
		for symbol := range c.lengths {
			if int(c.lengths[symbol]) == length {
				c.words[symbol] = word
				word++
			}
		}
	}
	return c
}

func (c code) write(w *bitWriter, symbol uint32) {
	w.write(uint32(c.words[symbol]), int(c.lengths[symbol]))
}

// price is how many bits a symbol takes; one without a word is taken for rare.
func (c code) price(symbol uint32) uint32 {
	const rare = 14
	if c.lengths[symbol] == 0 {
		return rare
	}
	return uint32(c.lengths[symbol])
}

// writeLengths writes the lengths of a code's words as their differences to the code
// before, in a code of their own.
func writeLengths(w *bitWriter, before, lengths []byte) {
	const someZeros, manyZeros, someEqual = 17, 18, 19 // other symbols are a difference
	type token struct {
		symbol      uint32
		extra, bits int    // how many more than the least, and the bits for that
		difference  uint32 // of someEqual
	}
	var tokens []token
	var counts [20]uint32
	for i := 0; i < len(lengths); {
		run := 1
		for i+run < len(lengths) && lengths[i+run] == lengths[i] {
			run++
		}
		difference := (17 + uint32(before[i]) - uint32(lengths[i])) % 17
		t := token{symbol: difference}
		switch {
		case run >= 20 && lengths[i] == 0:
			run = min(run, 20+1<<5-1)
			t = token{symbol: manyZeros, extra: run - 20, bits: 5}
		case run >= 4 && lengths[i] == 0:
			run = min(run, 4+1<<4-1)
			t = token{symbol: someZeros, extra: run - 4, bits: 4}
		case run >= 4:
			run = min(run, 4+1<<1-1)
			t = token{symbol: someEqual, extra: run - 4, bits: 1, difference: difference}
			counts[difference]++
		default:
			run = 1
		}
		counts[t.symbol]++
		tokens = append(tokens, t)
		i += run
	}
	c := newCode(counts[:], 1<<4-1)
	for _, length := range c.lengths {
		w.write(uint32(length), 4)
	}
	for _, t := range tokens {
		c.write(w, t.symbol)
		w.write(uint32(t.extra), t.bits)
		if t.symbol == someEqual {
			c.write(w, t.difference)
		}
	}
}

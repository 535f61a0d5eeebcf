package cab

import (
	"math"
	"math/bits"
)

// step is one literal, of length 1 with the byte as its offset, or one match. As in the
// stream, the offsets 0, 1 and 2 name a recent one, and all others are two too great.
type step struct{ length, offset uint32 }

// symbols returns those of a match in the main and in the length code, or -1.
func (s step) symbols() (main uint32, length int) {
	header := min(s.length-minMatch, longLength)
	main = 256 + 8*uint32(slotOf(s.offset)) + header
	if header < longLength {
		return main, -1
	}
	return main, int(s.length - minMatch - longLength)
}

// slotOf returns the slot of an offset as steps have it.
func slotOf(offset uint32) int {
	switch {
	case offset < 4:
		return int(offset)
	case offset < 1<<18: // two slots for each power of two
		n := bits.Len32(offset) - 1
		return 2*n + int(offset>>(n-1)&1)
	}
	return 34 + int(offset>>17)
}

// footerBits is how many bits tell apart the offsets of a slot.
func footerBits(slot int) int {
	return min(max(slot/2-1, 0), 17)
}

// slotBase is the least offset of a slot.
func slotBase(slot int) uint32 {
	switch {
	case slot < 4:
		return uint32(slot)
	case slot < 36:
		return uint32(2+slot&1) << footerBits(slot)
	}
	return uint32(slot-34) << 17
}

// recent is the three latest offsets, newest first, as a decoder keeps them.
type recent [3]uint32

// after returns them behind a step.
func (r recent) after(s step) recent {
	switch {
	case s.length == 1 || s.offset == 0:
		return r
	case s.offset == 1:
		return recent{r[1], r[0], r[2]}
	case s.offset == 2:
		return recent{r[2], r[1], r[0]}
	}
	return recent{s.offset - 2, r[0], r[1]}
}

// costs is what steps cost, in bits.
type costs struct {
	literal [256]uint32
	match   [slots][maxMatch + 1]uint32
	// low is to be added by the low three bits of an offset, where its footer has three.
	low [8]int32
}

// parser finds the cheapest steps through a block. Of each place it knows:
type parser struct {
	cost   []uint32 // of the cheapest way there that was found
	steps  []step   // the last step of that way
	recent []recent // the recent offsets behind it
}

func newParser() *parser {
	return &parser{make([]uint32, blockSize+1), make([]step, blockSize+1), make([]recent, blockSize+1)}
}

const unreached = math.MaxUint32

// parse returns the cheapest steps through data[start:end], and the recent offsets behind
// them. A match of niceLength or more is taken without looking for anything better.
func (p *parser) parse(data []byte, start, end int, matches [][]match, before recent, prices *costs) ([]step, recent) {
	size := end - start
	for i := range size {
		p.cost[i+1] = unreached
	}
	p.cost[0], p.recent[0] = 0, before
	for i := range size {
		if p.cost[i] == unreached {
			continue
		}
		if i > 0 {
			p.recent[i] = p.recent[i-int(p.steps[i].length)].after(p.steps[i])
		}
		at := start + i
		limit := min(maxMatch, end-at, frameSize-at%frameSize)
		if p.again(i, at, data[:at+limit], prices) {
			continue
		}
		p.matches(i, limit, matches[i], data[at], prices)
	}
	return p.way(size)
}

// again offers the matches at recent offsets, and reports whether one is nice.
func (p *parser) again(i, at int, data []byte, prices *costs) (nice bool) {
	rest := data[at:]
	for k, offset := range p.recent[i] {
		if int(offset) > at || rest[0] != data[at-int(offset)] {
			continue
		}
		n := common(data[at-int(offset):], rest, 1, len(rest))
		shortest := minMatch
		if n >= niceLength {
			shortest, nice = n, true
		}
		for l := shortest; l <= n; l++ {
			p.offer(i+l, p.cost[i]+prices.match[k][l], step{uint32(l), uint32(k)})
		}
	}
	return nice
}

// matches offers the literal and the matches that were found, cut to limit.
func (p *parser) matches(i, limit int, found []match, literal byte, prices *costs) {
	shortest := minMatch
	if n := len(found); n > 0 && min(limit, int(found[n-1].length)) >= niceLength {
		found = found[n-1:]
		shortest = min(limit, int(found[0].length))
	} else {
		p.offer(i+1, p.cost[i]+prices.literal[literal], step{1, uint32(literal)})
	}
	for _, m := range found {
		offset := m.offset + 2
		slot := slotOf(offset)
		cost := p.cost[i]
		if footerBits(slot) >= 3 {
			cost += uint32(prices.low[offset&7])
		}
		longest := min(limit, int(m.length))
		for l := shortest; l <= longest; l++ {
			p.offer(i+l, cost+prices.match[slot][l], step{uint32(l), offset})
		}
		shortest = longest + 1
	}
}

func (p *parser) offer(to int, cost uint32, s step) {
	if cost < p.cost[to] {
		p.cost[to], p.steps[to] = cost, s
	}
}

// way reads the cheapest way to a place, from there.
func (p *parser) way(to int) ([]step, recent) {
	last := p.steps[to]
	after := p.recent[to-int(last.length)].after(last)
	n := 0
	for i := to; i > 0; i -= int(p.steps[i].length) {
		n++
	}
	steps := make([]step, n)
	for i := to; i > 0; i -= int(p.steps[i].length) {
		n--
		steps[n] = p.steps[i]
	}
	return steps, after
}

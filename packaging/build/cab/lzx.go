package cab

import "encoding/binary"

const (
	windowBits = 21
	window     = 1 << windowBits
	slots      = 50 // of offsets in a window of 2 MiB
	minMatch   = 2
	maxMatch   = 257
	// maxOffset could be window-3, but decoders that keep no more than the window copy
	// there from what they overwrite: 7-Zip 26.02 goes wrong, and makecab cannot be asked.
	maxOffset = window - maxMatch

	// Symbols of the main code are 256 literals, then for each slot eight lengths. The
	// last, longLength more than minMatch, says that the length code goes on from there.
	mainSymbols   = 256 + slots*8
	lengthSymbols = 249
	longLength    = 7

	// The longest words; the first two might have one bit more.
	maxMainBits, maxLengthBits, maxLowBits = 15, 15, 7

	// Each frame is one block of the cabinet: its words are filled up, and no match
	// crosses its end.
	frameSize = 32 << 10
	// blockSize is how many bytes share their codes; 64 and 256 KiB are both worse.
	blockSize = 4 * frameSize
)

// The kinds of blocks of the stream.
const verbatim, aligned, uncompressed = 1, 2, 3

// encoder writes one LZX stream.
type encoder struct {
	data         []byte
	parser       *parser
	w            bitWriter
	ends         []int // in w.out: where each frame ends
	recent       recent
	prices       *costs // as the last block had it: what comes is like what was
	main, length []byte // lengths of words in the last codes that were sent
}

// compress returns the LZX stream of data, cut into frames.
func compress(data []byte) [][]byte {
	e := &encoder{
		data:   data,
		parser: newParser(),
		recent: recent{1, 1, 1},
		prices: newCodes(new(counts)).costs(),
		main:   make([]byte, mainSymbols),
		length: make([]byte, lengthSymbols),
	}
	// Call instructions are not translated: as makecab does it, that would save 2.8 %.
	e.w.write(0, 1)
	f := newFinder(data)
	whole := len(data) / frameSize * frameSize
	for start := 0; start < len(data); {
		end := min(start+blockSize, whole)
		if start == whole {
			// In a block of its own a last frame of a few bytes has no fewer than the 32 bits
			// that a decoder may want to begin with.
			end = len(data)
		}
		e.block(start, end, f.findAll(start, end))
		start = end
	}
	frames := make([][]byte, len(e.ends))
	begin := 0
	for i, end := range e.ends {
		frames[i], begin = e.w.out[begin:end], end
	}
	return frames
}

// block writes data[start:end], given the matches at each place. No frame gets longer
// than it is as a block of its own that is not compressed: Windows has limited room.
func (e *encoder) block(start, end int, matches [][]match) {
	before := *e
	e.compressed(start, end, matches)
	begin, fits := len(before.w.out), true
	for i, frameEnd := range e.ends[len(before.ends):] {
		fits = fits && frameEnd-begin < uncompressedHeader+min(frameSize, end-start-i*frameSize)
		begin = frameEnd
	}
	if fits {
		return
	}
	*e = before
	if end-start <= frameSize {
		e.uncompressed(start, end)
		return
	}
	for at := start; at < end; at += frameSize {
		e.block(at, at+frameSize, matches[at-start:][:frameSize])
	}
}

// compressed writes a verbatim or an aligned block.
func (e *encoder) compressed(start, end int, matches [][]match) {
	steps, after := e.parser.parse(e.data, start, end, matches, e.recent, e.prices)
	c := newCodes(count(steps))
	kind := uint32(verbatim)
	if c.aligned {
		kind = aligned
	}
	e.w.write(kind, 3)
	e.w.write(uint32(end-start), 24)
	if c.aligned {
		for _, length := range c.low.lengths {
			e.w.write(uint32(length), 3)
		}
	}
	writeLengths(&e.w, e.main[:256], c.main.lengths[:256])
	writeLengths(&e.w, e.main[256:], c.main.lengths[256:])
	writeLengths(&e.w, e.length, c.length.lengths)
	at := start
	for _, s := range steps {
		c.write(&e.w, s)
		at += int(s.length)
		if at%frameSize == 0 || at == end {
			e.endFrame()
		}
	}
	e.recent, e.prices, e.main, e.length = after, c.costs(), c.main.lengths, c.length.lengths
}

// uncompressedHeader is the kind, the size, and the recent offsets of such a block.
const uncompressedHeader = 4 + 3*4

// uncompressed writes one frame as it is.
func (e *encoder) uncompressed(start, end int) {
	e.w.write(uncompressed, 3)
	e.w.write(uint32(end-start), 24)
	e.w.write(0, 16-e.w.n) // 1 to 16 bits
	for _, offset := range e.recent {
		e.w.out = binary.LittleEndian.AppendUint32(e.w.out, offset)
	}
	e.w.out = append(e.w.out, e.data[start:end]...)
	if (end-start)%2 == 1 {
		e.w.out = append(e.w.out, 0)
	}
	e.endFrame()
}

func (e *encoder) endFrame() {
	e.w.align()
	e.ends = append(e.ends, len(e.w.out))
}

// codes is the three codes of a block.
type codes struct {
	main, length, low code
	aligned           bool // the low three bits of offsets are worth a code
}

func newCodes(n *counts) *codes {
	c := &codes{
		main:   newCode(n.main[:], maxMainBits),
		length: newCode(n.length[:], maxLengthBits),
		low:    newCode(n.low[:], maxLowBits),
	}
	saved := -3 * len(n.low)
	for low, times := range n.low {
		saved += int(times) * (3 - int(c.low.lengths[low]))
	}
	c.aligned = saved > 0
	return c
}

func (c *codes) write(w *bitWriter, s step) {
	if s.length == 1 {
		c.main.write(w, s.offset)
		return
	}
	main, length := s.symbols()
	c.main.write(w, main)
	if length >= 0 {
		c.length.write(w, uint32(length))
	}
	slot := slotOf(s.offset)
	footer, bits := s.offset-slotBase(slot), footerBits(slot)
	if c.aligned && bits >= 3 {
		w.write(footer>>3, bits-3)
		c.low.write(w, footer&7)
		return
	}
	w.write(footer, bits)
}

// counts is how often each symbol of the codes occurs.
type counts struct {
	main   [mainSymbols]uint32
	length [lengthSymbols]uint32
	low    [8]uint32
}

func count(steps []step) *counts {
	n := new(counts)
	for _, s := range steps {
		if s.length == 1 {
			n.main[s.offset]++
			continue
		}
		main, length := s.symbols()
		n.main[main]++
		if length >= 0 {
			n.length[length]++
		}
		if footerBits(slotOf(s.offset)) >= 3 {
			n.low[s.offset&7]++
		}
	}
	return n
}

// costs is what steps cost with these codes.
func (c *codes) costs() *costs {
	p := new(costs)
	for symbol := range p.literal {
		p.literal[symbol] = c.main.price(uint32(symbol))
	}
	for slot := range slots {
		for l := uint32(minMatch); l <= maxMatch; l++ {
			main, length := step{l, slotBase(slot)}.symbols()
			bits := c.main.price(main) + uint32(footerBits(slot))
			if length >= 0 {
				bits += c.length.price(uint32(length))
			}
			p.match[slot][l] = bits
		}
	}
	if c.aligned {
		for low := range p.low {
			p.low[low] = int32(c.low.price(uint32(low))) - 3
		}
	}
	return p
}

package cab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// open reads a cabinet of this package, and is stricter than any other program.
func open(cabinet []byte) ([]File, error) {
	var h struct {
		Signature                           [4]byte
		Zero1, Size, Zero2, FilesAt, Zero3  uint32
		VersionMinor, VersionMajor          byte
		Folders, Files, Flags, SetID, Index uint16
		DataAt                              uint32
		Frames, Method                      uint16
	}
	r := bytes.NewReader(cabinet)
	if err := binary.Read(r, binary.LittleEndian, &h); err != nil {
		return nil, err
	}
	if string(h.Signature[:]) != "MSCF" || int(h.Size) != len(cabinet) || h.Zero1|h.Zero2|h.Zero3 != 0 || h.FilesAt != 44 ||
		h.VersionMajor != 1 || h.VersionMinor != 3 || h.Folders != 1 || h.Flags|h.SetID|h.Index != 0 || h.Method != 0x1503 {
		return nil, fmt.Errorf("header %+v", h)
	}
	var files []File
	var sizes []int
	at := 0
	for range h.Files {
		var e struct {
			Size, At                       uint32
			Folder, Date, Time, Attributes uint16
		}
		if err := binary.Read(r, binary.LittleEndian, &e); err != nil {
			return nil, err
		}
		name, rest, _ := bytes.Cut(cabinet[len(cabinet)-r.Len():], []byte{0})
		r.Reset(rest)
		ascii := bytes.IndexFunc(name, func(r rune) bool { return r > 127 }) < 0
		if int(e.At) != at || e.Folder != 0 || ascii && e.Attributes != 0x20 || !ascii && e.Attributes != 0xa0 {
			return nil, fmt.Errorf("entry %q %+v", name, e)
		}
		files = append(files, File{Name: string(name), Time: time.Date(1980+int(e.Date>>9), time.Month(e.Date>>5&15), int(e.Date&31),
			int(e.Time>>11), int(e.Time>>5&63), int(e.Time&31)*2, 0, time.UTC)})
		sizes = append(sizes, int(e.Size))
		at += int(e.Size)
	}
	if r.Len() != len(cabinet)-int(h.DataAt) {
		return nil, errors.New("the data are not behind the entries")
	}
	d := &decoder{recent: recent{1, 1, 1}, main: make([]byte, mainSymbols), length: make([]byte, lengthSymbols)}
	for i := range h.Frames {
		var f struct {
			Checksum           uint32
			Size, Uncompressed uint16
		}
		if err := binary.Read(r, binary.LittleEndian, &f); err != nil {
			return nil, err
		}
		b := cabinet[len(cabinet)-r.Len():]
		want := uint32(0) // the sum of all words, the sizes first, and of the last bytes
		words := b[:f.Size&^3]
		for ; len(words) > 0; words = words[4:] {
			want ^= uint32(words[0]) | uint32(words[1])<<8 | uint32(words[2])<<16 | uint32(words[3])<<24
		}
		switch rest := b[f.Size&^3 : f.Size]; len(rest) {
		case 2:
			want ^= uint32(rest[0])<<8 | uint32(rest[1])
		case 1, 3:
			return nil, fmt.Errorf("frame %d is of %d bytes", i, f.Size)
		}
		want ^= uint32(f.Size) | uint32(f.Uncompressed)<<16
		if f.Checksum != want || f.Size < 4 || f.Size > frameSize+16 ||
			int(f.Uncompressed) != min(frameSize, at-len(d.out)) {
			return nil, fmt.Errorf("frame %d %+v, want checksum %x", i, f, want)
		}
		if d.frame(b[:f.Size], int(f.Uncompressed)); d.err != nil {
			return nil, fmt.Errorf("frame %d: %w", i, d.err)
		}
		r.Reset(b[f.Size:])
	}
	if r.Len() != 0 || len(d.out) != at || d.left != 0 {
		return nil, fmt.Errorf("at the end %d bytes, %d of %d decoded, %d of a block missing", r.Len(), len(d.out), at, d.left)
	}
	for i, size := range sizes {
		files[i].Content, d.out = d.out[:size:size], d.out[size:]
	}
	return files, nil
}

// decoder reads an LZX stream as the documents describe it.
type decoder struct {
	in           []byte // of the frame
	word         uint64
	bits         int // of word, that are not read
	out          []byte
	recent       recent
	main, length []byte
	mainTree     tree
	lengthTree   tree
	lowTree      tree
	kind         uint32
	left         int // bytes of the block
	err          error
}

func (d *decoder) check(ok bool, format string, args ...any) bool {
	if !ok && d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
	return ok
}

func (d *decoder) read(n int) uint32 {
	for d.bits < n {
		if !d.check(len(d.in) >= 2, "too short") {
			return 0
		}
		d.word = d.word<<16 | uint64(binary.LittleEndian.Uint16(d.in))
		d.in, d.bits = d.in[2:], d.bits+16
	}
	d.bits -= n
	return uint32(d.word>>d.bits) & (1<<n - 1)
}

// tree is a canonical code: how many words of each length, and their symbols in order.
type tree struct {
	counts  [17]int
	symbols []int
}

func (d *decoder) newTree(lengths []byte) tree {
	var t tree
	full := 0
	for length := 1; length <= 16; length++ {
		for symbol, l := range lengths {
			if int(l) == length {
				t.counts[length]++
				t.symbols = append(t.symbols, symbol)
				full += 1 << (16 - length)
			}
		}
	}
	d.check(full == 1<<16 && len(t.symbols) > 1, "a code of %d symbols fills %#x of 0x10000", len(t.symbols), full)
	return t
}

func (d *decoder) symbol(t tree) int {
	word, first, index := 0, 0, 0
	for length := 1; length <= 16 && d.err == nil; length++ {
		word = word<<1 | int(d.read(1))
		first <<= 1
		if n := t.counts[length]; word < first+n {
			return t.symbols[index+word-first]
		}
		first += t.counts[length]
		index += t.counts[length]
	}
	d.check(false, "no such word")
	return 0
}

func (d *decoder) lengths(lengths []byte) {
	var own [20]byte
	for i := range own {
		own[i] = byte(d.read(4))
	}
	t := d.newTree(own[:])
	for i := 0; i < len(lengths) && d.err == nil; {
		run, symbol := 1, d.symbol(t)
		value := byte(0)
		switch symbol {
		case 17:
			run = 4 + int(d.read(4))
		case 18:
			run = 20 + int(d.read(5))
		case 19:
			run = 4 + int(d.read(1))
			symbol = d.symbol(t)
			fallthrough
		default:
			d.check(symbol <= 16, "a run of runs")
			value = byte((int(lengths[i]) - symbol + 17) % 17)
		}
		if d.check(i+run <= len(lengths), "lengths of more symbols than there are") {
			for range run {
				lengths[i] = value
				i++
			}
		}
	}
}

func (d *decoder) frame(in []byte, size int) {
	d.in, d.bits = in, 0
	if len(d.out) == 0 {
		d.check(d.read(1) == 0, "translates")
	}
	end := len(d.out) + size
	for len(d.out) < end && d.err == nil {
		if d.left == 0 {
			d.header()
		} else if d.kind == uncompressed {
			d.check(false, "an uncompressed block of more than a frame")
		}
		if d.kind == uncompressed {
			if d.check(d.left == size && d.bits == 0 && len(d.in) == size+size%2, "an uncompressed block is not a frame") {
				d.out, d.in, d.left = append(d.out, d.in[:size]...), d.in[size:], 0
				d.check(size%2 == 0 || d.in[0] == 0, "padded with something")
				d.in = d.in[size%2:]
			}
			return
		}
		for ; d.left > 0 && len(d.out) < end && d.err == nil; d.step(end) {
		}
	}
	d.check(d.bits < 16 && d.read(d.bits) == 0 && len(d.in) == 0, "%d bytes and some bits too much", len(d.in))
}

func (d *decoder) header() {
	d.kind, d.left = d.read(3), int(d.read(24))
	d.check(d.left > 0, "an empty block")
	switch d.kind {
	case uncompressed:
		d.check(d.bits < 16 && (d.bits > 0 && d.read(d.bits) == 0 || d.read(16) == 0), "aligned with something")
		for i := range d.recent {
			if d.check(len(d.in) >= 4, "too short") {
				d.recent[i], d.in = binary.LittleEndian.Uint32(d.in), d.in[4:]
			}
		}
		return
	case aligned:
		var low [8]byte
		for i := range low {
			low[i] = byte(d.read(3))
		}
		d.lowTree = d.newTree(low[:])
	case verbatim:
	default:
		d.check(false, "a block of kind %d", d.kind)
	}
	d.lengths(d.main[:256])
	d.lengths(d.main[256:])
	d.lengths(d.length)
	d.mainTree, d.lengthTree = d.newTree(d.main), d.newTree(d.length)
}

func (d *decoder) step(end int) {
	symbol := d.symbol(d.mainTree)
	if symbol < 256 {
		d.out = append(d.out, byte(symbol))
		d.left--
		return
	}
	slot, length := (symbol-256)/8, (symbol-256)%8+2
	if length == 9 {
		length += d.symbol(d.lengthTree)
	}
	var offset uint32
	if slot < 3 {
		offset = d.recent[slot]
		d.recent[slot], d.recent[0] = d.recent[0], offset
	} else {
		base, extra := -2, 0
		for i := range slot { // as the documents make their tables
			extra = min(max(i/2-1, 0), 17)
			base += 1 << extra
		}
		extra = min(max(slot/2-1, 0), 17)
		offset = uint32(base)
		if d.kind == aligned && extra >= 3 {
			offset += d.read(extra-3)<<3 + uint32(d.symbol(d.lowTree))
		} else {
			offset += d.read(extra)
		}
		d.recent = recent{offset, d.recent[0], d.recent[1]}
	}
	d.check(len(d.out)+length <= end && length <= d.left, "a match crosses the end of the frame or block")
	if d.check(0 < offset && int(offset) <= len(d.out) && offset <= maxOffset, "offset %d at %d", offset, len(d.out)) {
		for range length {
			d.out = append(d.out, d.out[len(d.out)-int(offset)])
		}
	}
	d.left -= length
}

func same(a, b []File) bool {
	return slices.EqualFunc(a, b, func(a, b File) bool {
		return a.Name == b.Name && a.Time.Equal(b.Time) && bytes.Equal(a.Content, b.Content)
	})
}

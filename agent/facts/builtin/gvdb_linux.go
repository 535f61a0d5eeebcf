package builtin

import (
	"encoding/binary"
	"errors"
)

// gvdb is one hash table of a GVDB file, the form of dconf's databases and of
// compiled GSettings schemas. A table looks up names only: what lies in the file
// beside them is not read.
type gvdb struct {
	file    []byte
	buckets []byte // four bytes each: the number of the bucket's first item
	items   []byte // gvdbItem bytes each
}

const (
	gvdbSignature = "GVariant\x00\x00\x00\x00" // and version 0; other byte orders write it otherwise
	gvdbHeader    = 24
	gvdbItem      = 24
	gvdbNoParent  = 0xffffffff
	// gvdbMaxValue bounds the bytes of one value: what is asked for is short.
	gvdbMaxValue = 64 << 10
)

var errGVDB = errors.New("no valid GVDB file")

// parseGVDB finds the file's first table.
func parseGVDB(file []byte) (*gvdb, error) {
	if len(file) < gvdbHeader || string(file[:len(gvdbSignature)]) != gvdbSignature {
		return nil, errGVDB
	}
	return gvdbTable(file, file[16:24])
}

func gvdbTable(file, pointer []byte) (*gvdb, error) {
	b, ok := gvdbBytes(file, pointer)
	if !ok || len(b) < 8 {
		return nil, errGVDB
	}
	bloom := uint64(binary.LittleEndian.Uint32(b)&(1<<27-1)) * 4
	buckets := uint64(binary.LittleEndian.Uint32(b[4:])) * 4
	b = b[8:]
	if bloom+buckets > uint64(len(b)) {
		return nil, errGVDB
	}
	b = b[bloom:]
	items := b[buckets:]
	if len(items)%gvdbItem != 0 {
		return nil, errGVDB
	}
	return &gvdb{file, b[:buckets], items}, nil
}

// gvdbBytes follows a pointer: the start and the end of what it points at.
func gvdbBytes(file, pointer []byte) ([]byte, bool) {
	start, end := binary.LittleEndian.Uint32(pointer), binary.LittleEndian.Uint32(pointer[4:])
	if start > end || uint64(end) > uint64(len(file)) {
		return nil, false
	}
	return file[start:end], true
}

// find looks for an item of the kind, 'v' for a value and 'H' for a table, and
// gives the pointer to it, or nil.
func (t *gvdb) find(name string, kind byte) []byte {
	if len(t.buckets) == 0 {
		return nil
	}
	hash := uint32(5381)
	for i := range len(name) {
		hash = hash*33 + uint32(int8(name[i]))
	}
	n := uint32(len(t.buckets) / 4)
	count := uint32(len(t.items) / gvdbItem)
	bucket := hash % n
	from, to := binary.LittleEndian.Uint32(t.buckets[bucket*4:]), count
	if bucket+1 < n {
		to = min(count, binary.LittleEndian.Uint32(t.buckets[bucket*4+4:]))
	}
	for i := from; i < to; i++ {
		item := t.items[i*gvdbItem:][:gvdbItem]
		if binary.LittleEndian.Uint32(item) == hash && item[14] == kind && t.named(item, name) {
			return item[16:24]
		}
	}
	return nil
}

// named compares a name from its end: an item holds the last part, and its
// parents those before.
func (t *gvdb) named(item []byte, name string) bool {
	for {
		start, size := binary.LittleEndian.Uint32(item[8:]), binary.LittleEndian.Uint16(item[12:])
		end := uint64(start) + uint64(size)
		if end > uint64(len(t.file)) || int(size) > len(name) {
			return false
		}
		rest := len(name) - int(size)
		if name[rest:] != string(t.file[start:end]) {
			return false
		}
		name = name[:rest]
		parent := binary.LittleEndian.Uint32(item[4:])
		if parent == gvdbNoParent {
			return name == ""
		}
		// An empty part would let parents in a circle go on for ever.
		if size == 0 || uint64(parent) >= uint64(len(t.items)/gvdbItem) {
			return false
		}
		item = t.items[parent*gvdbItem:][:gvdbItem]
	}
}

// has reports whether there is a value of the name.
func (t *gvdb) has(name string) bool { return t != nil && t.find(name, 'v') != nil }

// value is the value of the name; its type is "" where there is none.
func (t *gvdb) value(name string) (gvariant, error) {
	if !t.has(name) {
		return gvariant{}, nil
	}
	b, ok := gvdbBytes(t.file, t.find(name, 'v'))
	if !ok || len(b) > gvdbMaxValue {
		return gvariant{}, errGVDB
	}
	return parseBoxed(b)
}

// table is the table of the name, or nil.
func (t *gvdb) table(name string) (*gvdb, error) {
	pointer := t.find(name, 'H')
	if pointer == nil {
		return nil, nil
	}
	return gvdbTable(t.file, pointer)
}

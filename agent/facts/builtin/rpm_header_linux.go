package builtin

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/passmuster/muster"
)

// maxRPMHeader bounds one package's header, as rpm does.
const maxRPMHeader = 256 << 20

// rpmTags are the numbers of the tags that become columns. A package of more
// than 4 GiB has the second one for its size.
var rpmTags = map[uint32]string{1000: "name", 1001: "version", 1002: "release", 1003: "epoch", 1008: "install_time",
	1009: "size", 5009: "size", 1011: "vendor", 1016: "package_group", 1022: "arch", 1044: "source", 269: "sha1"}

// Types of tags that are read.
const (
	rpmInt32  = 4
	rpmInt64  = 5
	rpmString = 6
	rpmI18N   = 9
)

// parseRPMHeader reads a header as it lies in the database: the number of tags
// and the length of their data, then for each tag number, type, offset and
// count, then the data; all numbers in the network's order. Of a text in
// several languages the first counts.
func parseRPMHeader(b []byte) (muster.Row, error) {
	const head, entry = 8, 16
	if len(b) < head {
		return nil, errors.New("rpm header: cut short")
	}
	tags, length := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if uint64(head)+entry*uint64(tags)+uint64(length) > uint64(len(b)) {
		return nil, fmt.Errorf("rpm header: %d tags and %d bytes of data in %d bytes", tags, length, len(b))
	}
	index, data := b[head:head+entry*tags], b[head+entry*tags:][:length]
	r := muster.Row{}
	for ; len(index) > 0; index = index[entry:] {
		column := rpmTags[binary.BigEndian.Uint32(index)]
		kind, offset := binary.BigEndian.Uint32(index[4:]), binary.BigEndian.Uint32(index[8:])
		if column == "" || offset > length {
			continue
		}
		switch value := data[offset:]; kind {
		case rpmString, rpmI18N:
			if text, _, ended := bytes.Cut(value, []byte{0}); ended {
				r[column] = string(text)
			}
		case rpmInt32:
			if len(value) >= 4 {
				r[column] = strconv.FormatUint(uint64(binary.BigEndian.Uint32(value)), 10)
			}
		case rpmInt64:
			if len(value) >= 8 {
				r[column] = strconv.FormatUint(binary.BigEndian.Uint64(value), 10)
			}
		}
	}
	if r["name"] == "" {
		return nil, errors.New("rpm header: no name")
	}
	return r, nil
}

// A database of rpm's own kind, ndb, see lib/backend/ndb/rpmpkg.c in rpm: pages
// of slots that tell where each package's blob lies, in little-endian order.
const (
	ndbSlotMagic = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	ndbBlobMagic = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24
	ndbPage      = 4096
	ndbSlot      = 16
	ndbMaxPages  = 2048
)

func readRPMNdb(ctx context.Context, path string, visit func([]byte) error) error {
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	slots, err := ndbSlots(f)
	if err != nil {
		return err
	}
	for _, s := range slots {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := ndbBlob(f, s)
		if err != nil {
			return err
		}
		if err := visit(header); err != nil {
			return err
		}
	}
	return nil
}

// ndbEntry is where a package's blob begins and how long it is, in slots.
type ndbEntry struct{ number, offset, count uint32 }

// ndbSlots reads the head, two slots long, and then the used slots, in the
// order of the packages.
func ndbSlots(r io.ReaderAt) ([]ndbEntry, error) {
	head := make([]byte, 2*ndbSlot)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("rpm ndb: %w", err)
	}
	u := binary.LittleEndian.Uint32
	pages := u(head[12:])
	if string(head[:4]) != "RpmP" || u(head[4:]) != 0 || pages == 0 || pages > ndbMaxPages {
		return nil, errors.New("rpm ndb: not a database of packages")
	}
	b := make([]byte, int(pages)*ndbPage)
	if _, err := r.ReadAt(b, 0); err != nil {
		return nil, fmt.Errorf("rpm ndb: %w", err)
	}
	var slots []ndbEntry
	for b = b[len(head):]; len(b) >= ndbSlot; b = b[ndbSlot:] {
		if u(b) != ndbSlotMagic {
			return nil, errors.New("rpm ndb: a slot is broken")
		}
		if e := (ndbEntry{u(b[4:]), u(b[8:]), u(b[12:])}); e.offset != 0 {
			slots = append(slots, e)
		}
	}
	slices.SortFunc(slots, func(a, b ndbEntry) int { return int(a.number) - int(b.number) })
	return slots, nil
}

// ndbBlob reads one package's header, which lies behind a head of one slot.
func ndbBlob(r io.ReaderAt, e ndbEntry) ([]byte, error) {
	head := make([]byte, ndbSlot)
	start := int64(e.offset) * ndbSlot
	if _, err := r.ReadAt(head, start); err != nil {
		return nil, fmt.Errorf("rpm ndb: %w", err)
	}
	u := binary.LittleEndian.Uint32
	size := u(head[12:])
	if u(head) != ndbBlobMagic || u(head[4:]) != e.number || uint64(size) > ndbSlot*uint64(e.count) || size > maxRPMHeader {
		return nil, fmt.Errorf("rpm ndb: the blob of package %d is broken", e.number)
	}
	// Read as it comes, so that a false length allocates nothing.
	return io.ReadAll(io.NewSectionReader(r, start+ndbSlot, int64(size)))
}

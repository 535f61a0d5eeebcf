package builtin

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel answers the questions of this file with the items of btrfs's own
// trees: see the format at https://btrfs.readthedocs.io. It needs root.

const (
	btrfsTreeSearch   = 0xd0009411 // BTRFS_IOC_TREE_SEARCH
	btrfsInodeLookup  = 0xd0009412 // BTRFS_IOC_INO_LOOKUP
	btrfsArgs         = 4096
	btrfsSearchKey    = 104
	btrfsSearchHeader = 32
	btrfsRootTree     = 1
	btrfsTopLevel     = 5
	btrfsFirstFree    = 256 // the first number of a subvolume
	btrfsRootItem     = 132
	btrfsRootBackref  = 144
)

// btrfsTree is a folder on a btrfs.
type btrfsTree struct{ *os.File }

func (h host) openBtrfs(path string) (btrfsTree, error) {
	f, err := os.OpenFile(h.path(path), os.O_RDONLY|openDirectory, 0)
	if err != nil {
		return btrfsTree{}, readError(path, err)
	}
	return btrfsTree{f}, nil
}

func (t btrfsTree) ioctl(number uintptr, args *[btrfsArgs]byte) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, t.Fd(), number, uintptr(unsafe.Pointer(args))); errno != 0 {
		return errno
	}
	return nil
}

// btrfsItem is one item of a tree.
type btrfsItem struct {
	object, offset uint64
	kind           uint32
	data           []byte
}

// next is the first key behind the item's, as a number of its three parts: a
// crafted disk may have the highest of them. 0 is that there is none.
func (i btrfsItem) next() (object uint64, kind uint32, offset uint64) {
	object, kind, offset = i.object, i.kind, i.offset+1
	if offset == 0 {
		kind++
	}
	if kind > 255 {
		object, kind = object+1, 0
	}
	return object, kind, offset
}

// subvolume is one of a btrfs; created is Unix seconds.
type subvolume struct {
	id, parent uint64 // parent is the subvolume that it lies in
	folder     uint64 // the inode in parent that holds its name
	name       string
	path       string // from the top of the file system
	copied     bool   // made of another one
	gone       bool   // deleted, and not yet cleaned up
	created    int64
}

// subvolumes lists all of the file system, in the order of their ids.
func (t btrfsTree) subvolumes(ctx context.Context) ([]subvolume, error) {
	var items []btrfsItem
	object, kind, offset := uint64(btrfsFirstFree), uint32(0), uint64(0)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var args [btrfsArgs]byte
		key := args[:btrfsSearchKey]
		const last = ^uint64(0)
		for i, v := range []uint64{btrfsRootTree, object, last - 255, offset, last, 0, last} {
			binary.NativeEndian.PutUint64(key[i*8:], v)
		}
		for i, v := range []uint32{kind, 255, 4096} {
			binary.NativeEndian.PutUint32(key[56+i*4:], v)
		}
		if err := t.ioctl(btrfsTreeSearch, &args); err != nil {
			return nil, err
		}
		found := parseBtrfsSearch(args[:])
		if len(found) == 0 {
			break
		}
		items = append(items, found...)
		object, kind, offset = found[len(found)-1].next()
		if object == 0 {
			break
		}
	}
	return t.withPaths(parseSubvolumes(items))
}

// parseBtrfsSearch reads the items of one answer, whose key says how many.
func parseBtrfsSearch(args []byte) []btrfsItem {
	if len(args) < btrfsSearchKey {
		return nil
	}
	n := binary.NativeEndian.Uint32(args[64:])
	b := args[btrfsSearchKey:]
	var items []btrfsItem
	for ; n > 0 && len(b) >= btrfsSearchHeader; n-- {
		item := btrfsItem{object: binary.NativeEndian.Uint64(b[8:]), offset: binary.NativeEndian.Uint64(b[16:]),
			kind: binary.NativeEndian.Uint32(b[24:])}
		size := binary.NativeEndian.Uint32(b[28:])
		b = b[btrfsSearchHeader:]
		if uint64(size) > uint64(len(b)) {
			break
		}
		item.data, b = slices.Clone(b[:size]), b[size:]
		items = append(items, item)
	}
	return items
}

// parseSubvolumes puts together what the items say of each subvolume. On disk
// numbers are little-endian.
func parseSubvolumes(items []btrfsItem) []subvolume {
	const refs, parentUUID, createdAt, size = 216, 263, 339, 351
	var all []subvolume
	for _, item := range items {
		n := len(all)
		if n == 0 || all[n-1].id != item.object {
			all = append(all, subvolume{id: item.object, gone: true})
			n++
		}
		s := &all[n-1]
		switch d := item.data; {
		case item.kind == btrfsRootItem && len(d) >= size:
			s.gone = binary.LittleEndian.Uint32(d[refs:]) == 0
			s.copied = !bytes.Equal(d[parentUUID:parentUUID+16], make([]byte, 16))
			s.created = int64(binary.LittleEndian.Uint64(d[createdAt:]))
		case item.kind == btrfsRootBackref && len(d) >= 18:
			s.parent, s.folder = item.offset, binary.LittleEndian.Uint64(d)
			end := 18 + int(binary.LittleEndian.Uint16(d[16:]))
			s.name = string(d[18:min(end, len(d))])
		}
	}
	return slices.DeleteFunc(all, func(s subvolume) bool { return s.gone })
}

// withPaths finds where each subvolume lies: in a folder of its parent, which
// may lie in another.
func (t btrfsTree) withPaths(all []subvolume) ([]subvolume, error) {
	byID := map[uint64]*subvolume{}
	for i := range all {
		byID[all[i].id] = &all[i]
	}
	for i := range all {
		path := ""
		s := &all[i]
		for range maxNesting {
			var args [btrfsArgs]byte
			binary.NativeEndian.PutUint64(args[:], s.parent)
			binary.NativeEndian.PutUint64(args[8:], s.folder)
			if err := t.ioctl(btrfsInodeLookup, &args); err != nil {
				return nil, err
			}
			path = unix.ByteSliceToString(args[16:]) + s.name + path
			if s.parent == btrfsTopLevel || byID[s.parent] == nil {
				break
			}
			path, s = "/"+path, byID[s.parent]
		}
		all[i].path = path
	}
	return all, nil
}

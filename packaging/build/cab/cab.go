// Package cab writes Microsoft cabinets compressed with LZX. Free tools open such
// cabinets, but make only larger ones.
//
// The container follows [MS-CAB], and the stream Microsoft's "LZX Data Compression
// Format" with the corrections of [MS-PATCH]. Where they leave a choice it is the one
// that makecab takes, or that every decoder takes for granted: one folder, a window of
// 2 MiB, frames of 32 KiB, complete codes, and no translation of call instructions.
//
// An MSI finds its cabinet in a stream that the column Cabinet of the table Media names,
// behind a #. The cabinet's files bear the keys of the table File, in the order of its
// column Sequence. To put this cabinet in the place of one by wixl:
//
//	msiinfo export a.msi File       # the first column is the key, the last the order
//	msiinfo export a.msi Media      # the fourth column is # and the stream's name
//	msibuild a.msi -a NAME new.cab  # the name without the #
package cab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// File is one file of a cabinet.
type File struct {
	// Name is 1 to 255 bytes long; for an MSI it is the key of the table File.
	Name string
	// Time is stored as UTC, in steps of two seconds, between 1980 and 2107.
	Time    time.Time
	Content []byte
}

const (
	headerSize, folderSize = 36, 8

	attributeArchive, attributeUTF8 = 0x20, 0x80

	lzxWindow = 3 | windowBits<<8 // LZX, and the size of its window
)

// Write writes a cabinet of these files in this order. The same files give the same
// bytes; together they are less than 2 GiB.
func Write(w io.Writer, files []File) error {
	if len(files) == 0 || len(files) > math.MaxUint16 {
		return fmt.Errorf("write cabinet: it holds 1 to 65535 files, not %d", len(files))
	}
	var entries, content []byte
	for _, f := range files {
		var err error
		if entries, err = f.appendEntry(entries, len(content)); err != nil {
			return fmt.Errorf("write cabinet: file %q: %w", f.Name, err)
		}
		if len(content)+len(f.Content) > math.MaxUint16*frameSize {
			return fmt.Errorf("write cabinet: its files are 2 GiB or more: make two of it")
		}
		content = append(content, f.Content...)
	}
	var data bytes.Buffer
	frames := compress(content)
	for i, frame := range frames {
		sizes := binary.LittleEndian.AppendUint16(nil, uint16(len(frame)))
		sizes = binary.LittleEndian.AppendUint16(sizes, uint16(min(frameSize, len(content)-i*frameSize)))
		data.Write(binary.LittleEndian.AppendUint32(nil, checksum(sizes, checksum(frame, 0))))
		data.Write(sizes)
		data.Write(frame)
	}

	filesAt := headerSize + folderSize
	dataAt := filesAt + len(entries)
	head, err := binary.Append(nil, binary.LittleEndian, struct {
		Signature                           [4]byte
		_, Size, _, FilesAt, _              uint32
		VersionMinor, VersionMajor          byte
		Folders, Files, Flags, SetID, Index uint16

		DataAt         uint32
		Frames, Method uint16
	}{
		Signature: [4]byte{'M', 'S', 'C', 'F'}, Size: uint32(dataAt + data.Len()), FilesAt: uint32(filesAt),
		VersionMinor: 3, VersionMajor: 1, Folders: 1, Files: uint16(len(files)),
		DataAt: uint32(dataAt), Frames: uint16(len(frames)), Method: lzxWindow,
	})
	if err != nil {
		return fmt.Errorf("write cabinet: %w", err)
	}
	for _, part := range [][]byte{head, entries, data.Bytes()} {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("write cabinet: %w", err)
		}
	}
	return nil
}

// appendEntry appends what the directory says of a file that begins at a place of the
// uncompressed folder.
func (f File) appendEntry(b []byte, at int) ([]byte, error) {
	if f.Name == "" || len(f.Name) > 255 || strings.ContainsRune(f.Name, 0) || !utf8.ValidString(f.Name) {
		return nil, errors.New("its name is not 1 to 255 bytes of UTF-8 without a zero")
	}
	t := f.Time.UTC()
	if t.Year() < 1980 || t.Year() > 2107 {
		return nil, fmt.Errorf("its time %s is not between 1980 and 2107", t.Format(time.RFC3339))
	}
	attributes := uint16(attributeArchive)
	if strings.ContainsFunc(f.Name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		attributes |= attributeUTF8
	}
	const firstFolder = 0
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Content)))
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	for _, v := range []uint16{
		firstFolder,
		uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day()),
		uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2),
		attributes,
	} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return append(append(b, f.Name...), 0), nil
}

// checksum goes on from sum with the words of b; the last bytes, fewer than four, count
// with the first of them highest.
func checksum(b []byte, sum uint32) uint32 {
	for ; len(b) >= 4; b = b[4:] {
		sum ^= binary.LittleEndian.Uint32(b)
	}
	last := uint32(0)
	for _, c := range b {
		last = last<<8 | uint32(c)
	}
	return sum ^ last
}

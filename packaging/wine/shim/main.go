// Command shim writes bcryptprimitives.dll, which Go programs need and wine 8
// lacks: a DLL without code that forwards ProcessPrng to
// advapi32.SystemFunction036 (RtlGenRandom). It is for tests under wine only.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

const (
	base    = 0x1000 // address of the one section
	fileOff = 0x200  // its place in the file
	align   = 0x200
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: shim FILE.dll")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], dll(), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "shim: error:", err)
		os.Exit(1)
	}
}

// exports is the export directory with one forwarder (PE format, section 6.3).
func exports() []byte {
	const tables = 40 + 4 + 4 + 2 // directory, function, name, ordinal
	self, name, target := "bcryptprimitives.dll\x00", "ProcessPrng\x00", "advapi32.SystemFunction036\x00"
	atSelf := uint32(base + tables)
	atName := atSelf + uint32(len(self))
	atTarget := atName + uint32(len(name))
	var b bytes.Buffer
	put(&b, uint32(0), uint32(0), uint32(0), atSelf, uint32(1), uint32(1), uint32(1),
		uint32(base+40), uint32(base+44), uint32(base+48), atTarget, atName, uint16(0))
	b.WriteString(self + name + target)
	return b.Bytes()
}

func dll() []byte {
	section := exports()
	var b bytes.Buffer
	dos := make([]byte, 64)
	copy(dos, "MZ")
	dos[0x3c] = 64
	b.Write(dos)
	b.WriteString("PE\x00\x00")
	put(&b, uint16(0x8664), uint16(1), [3]uint32{}, uint16(240), uint16(0x2022)) // x86-64, DLL
	put(&b, uint16(0x20b), uint16(0), uint32(0), uint32(align), uint32(0), uint32(0), uint32(base),
		uint64(0x180000000), uint32(0x1000), uint32(align),
		[6]uint16{6, 0, 0, 0, 6, 0}, uint32(0), uint32(0x2000), uint32(fileOff), uint32(0), uint16(3), uint16(0x160),
		[4]uint64{0x100000, 0x1000, 0x100000, 0x1000}, uint32(0), uint32(16),
		uint32(base), uint32(len(section)), [15]uint64{})
	b.WriteString(".edata\x00\x00")
	put(&b, uint32(len(section)), uint32(base), uint32(align), uint32(fileOff), [3]uint32{}, uint32(0x40000040))
	b.Write(make([]byte, fileOff-b.Len()))
	b.Write(section)
	b.Write(make([]byte, fileOff+align-b.Len()))
	return b.Bytes()
}

func put(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		// Writing fixed-size values to a buffer cannot fail.
		_ = binary.Write(b, binary.LittleEndian, v)
	}
}

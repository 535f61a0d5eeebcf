package state

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestMachineID(t *testing.T) {
	first, err := MachineID()
	second, err2 := MachineID()
	if len(first) != 64 || first != second || err != nil || err2 != nil {
		t.Errorf("%q, %q, %v, %v", first, second, err, err2)
	}
}

func TestNamesHardware(t *testing.T) {
	for name, want := range map[string]bool{
		"4c4c4544-0051-3510-8052-b7c04f4e3732": true,
		"pf2abcde":                             true,
		"":                                     false,
		"0":                                    false,
		"00000000-0000-0000-0000-000000000000": false,
		"ffffffff-ffff-ffff-ffff-ffffffffffff": false,
		"03000200-0400-0500-0006-000700080009": false,
		"to be filled by o.e.m.":               false,
		"default string":                       false,
		"system serial number":                 false,
		"none":                                 false,
	} {
		if got := namesHardware(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// table is the firmware's answer: a BIOS structure with texts, then the system.
func table() []byte {
	bios := append([]byte{0, 18, 0, 0, 1, 2}, make([]byte, 12)...)
	bios = append(bios, "Maker\x00V1\x00\x00"...)
	system := append([]byte{1, 27, 1, 0, 1, 2, 3, 4}, "0123456789abcdef"...)
	system = append(system, 6, 0, 0)
	return append(append(bios, system...), 0, 0)
}

func TestFirmwareUUID(t *testing.T) {
	want := hex.EncodeToString([]byte("0123456789abcdef"))
	if got := firmwareUUID(table()); got != want {
		t.Errorf("%q", got)
	}
}

func FuzzFirmwareUUID(f *testing.F) {
	f.Add(table())
	f.Add([]byte{1, 24})
	f.Fuzz(func(t *testing.T, b []byte) {
		uuid := firmwareUUID(b)
		raw, err := hex.DecodeString(uuid)
		if err != nil || uuid != "" && !strings.Contains(string(b), string(raw)) {
			t.Errorf("%q is not in the table", uuid)
		}
	})
}

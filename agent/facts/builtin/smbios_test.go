package builtin

import (
	"bytes"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// structure is one SMBIOS structure: kind, bytes from offset 4 on, texts.
func structure(kind byte, body []byte, texts ...string) []byte {
	b := append([]byte{kind, byte(4 + len(body)), 0, 0}, body...)
	for _, t := range texts {
		b = append(append(b, t...), 0)
	}
	if len(texts) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

func laptop() []byte {
	bios := make([]byte, 0x14)
	bios[0], bios[1], bios[4] = 1, 2, 3
	bios[0x10], bios[0x11] = 1, 27
	system := []byte{1, 2, 3, 4, 0x44, 0x45, 0x4c, 0x4c, 0x38, 0x00, 0x10, 0x4d, 0x80, 0x52, 0xb7, 0xc0, 0x4f, 0x4e, 0x32, 0x33}
	processor := make([]byte, 0x16)
	processor[0x14] = 0x41
	return bytes.Join([][]byte{
		structure(0, bios, "Dell Inc.", "1.27.0", "07/08/2026"),
		structure(1, system, "Dell Inc.", "Latitude 5440", " ", "8M8R7N3"),
		structure(2, []byte{1, 2, 3, 4}, "Dell Inc.", "0M3Y8P", "A00", "/8M8R7N3/"),
		structure(4, processor),
		structure(127, nil),
		structure(1, system, "after", "the", "end"),
	}, nil)
}

func TestParseSMBIOS(t *testing.T) {
	got := parseSMBIOS(laptop())
	want := smbios{
		biosVendor: "Dell Inc.", biosVersion: "1.27.0", biosRevision: "1.27", biosDate: "2026-07-08",
		vendor: "Dell Inc.", model: "Latitude 5440", serial: "8M8R7N3", uuid: "4C4C4544-0038-4D10-8052-B7C04F4E3233",
		boardVendor: "Dell Inc.", boardModel: "0M3Y8P", boardVersion: "A00", boardSerial: "/8M8R7N3/", sockets: 1,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDescribeLenovo(t *testing.T) {
	row := muster.Row{}
	smbios{vendor: "LENOVO", model: "21HDCTO1WW", version: "ThinkPad T14 Gen 4"}.describe(row)
	if row["hardware_model"] != "ThinkPad T14 Gen 4" || row["hardware_version"] != "21HDCTO1WW" {
		t.Error(row)
	}
}

func TestBIOSDate(t *testing.T) {
	for in, want := range map[string]string{"07/08/2026": "2026-07-08", "07/08/98": "1998-07-08", "": "-1", "unknown": "-1"} {
		if got := biosDate(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzParseSMBIOS: whatever the firmware writes, texts have no NUL and come
// from its bytes.
func FuzzParseSMBIOS(f *testing.F) {
	f.Add(laptop())
	f.Add([]byte{1, 255, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := parseSMBIOS(b)
		for _, text := range []string{s.biosVendor, s.biosVersion, s.vendor, s.model, s.version, s.serial, s.boardVendor, s.boardModel} {
			if strings.ContainsRune(text, 0) || !bytes.Contains(b, []byte(text)) {
				t.Errorf("%q is not in the tables", text)
			}
		}
	})
}

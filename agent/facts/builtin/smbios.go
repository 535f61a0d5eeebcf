package builtin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// smbios is what the firmware says about the computer (DMTF DSP0134). A text
// that the firmware does not give is "".
type smbios struct {
	biosVendor, biosVersion, biosRevision string
	biosDate                              string // 2026-07-08
	vendor, model, version, serial, uuid  string
	boardVendor, boardModel               string
	boardVersion, boardSerial             string
	sockets                               int // that hold a processor; 0 where not told
}

// parseSMBIOS reads the structures one by one; what is cut off or malformed
// ends the reading, with what came before it kept.
func parseSMBIOS(b []byte) smbios {
	var s smbios
	for len(b) >= 4 {
		kind, size := b[0], int(b[1])
		if size < 4 || size > len(b) {
			break
		}
		body := dmi{data: b[:size]}
		body.texts, b = cutTexts(b[size:])
		switch kind {
		case 0:
			s.biosVendor, s.biosVersion = body.text(4), body.text(5)
			s.biosDate = biosDate(body.text(8))
			if major, ok := body.byte(0x14); ok {
				minor, _ := body.byte(0x15)
				s.biosRevision = fmt.Sprintf("%d.%d", major, minor)
			}
		case 1:
			s.vendor, s.model, s.version, s.serial = body.text(4), body.text(5), body.text(6), body.text(7)
			s.uuid = body.uuid(8)
		case 2:
			if s.boardVendor == "" {
				s.boardVendor, s.boardModel, s.boardVersion, s.boardSerial = body.text(4), body.text(5), body.text(6), body.text(7)
			}
		case 4:
			if status, ok := body.byte(0x18); ok && status&0x40 != 0 {
				s.sockets++
			}
		case 127:
			return s
		}
	}
	return s
}

// describe fills system_info's columns.
func (s smbios) describe(row muster.Row) {
	row["uuid"] = s.uuid
	row["hardware_vendor"], row["hardware_model"], row["hardware_serial"] = s.vendor, s.model, s.serial
	row["hardware_version"] = "-1"
	// Lenovo writes the name that people know into the version.
	if strings.EqualFold(s.vendor, "lenovo") && s.version != "" {
		row["hardware_model"], row["hardware_version"] = s.version, s.model
	}
	row["board_vendor"], row["board_model"] = s.boardVendor, s.boardModel
	row["board_version"], row["board_serial"] = s.boardVersion, s.boardSerial
	if s.sockets > 0 {
		row["cpu_sockets"] = strconv.Itoa(s.sockets)
	}
}

// dmi is one structure: its fixed part and its texts, which it numbers from 1.
type dmi struct {
	data  []byte
	texts []string
}

func cutTexts(b []byte) (texts []string, rest []byte) {
	area, rest, _ := bytes.Cut(b, []byte{0, 0})
	for t := range strings.SplitSeq(strings.Trim(string(area), "\x00"), "\x00") {
		texts = append(texts, strings.TrimSpace(t))
	}
	return texts, rest
}

func (d dmi) byte(at int) (byte, bool) {
	if at >= len(d.data) {
		return 0, false
	}
	return d.data[at], true
}

func (d dmi) text(at int) string {
	n, _ := d.byte(at)
	if n == 0 || int(n) > len(d.texts) {
		return ""
	}
	return d.texts[n-1]
}

// uuid is "" where the firmware has none: all bits 0 or all 1.
func (d dmi) uuid(at int) string {
	if at+16 > len(d.data) {
		return ""
	}
	u := d.data[at : at+16]
	if bytes.Count(u, []byte{0}) == 16 || bytes.Count(u, []byte{0xff}) == 16 {
		return ""
	}
	le := binary.LittleEndian
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(u), le.Uint16(u[4:]), le.Uint16(u[6:]), u[8:10], u[10:])
}

// biosDate turns 07/08/2026 into 2026-07-08; "-1", as osquery says, where it is no date.
func biosDate(s string) string {
	for _, layout := range []string{"01/02/2006", "01/02/06"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.DateOnly)
		}
	}
	return "-1"
}

package builtin

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// windowsName is the product's name, such as Microsoft Windows 11 Pro. The
// registry says Windows 10 on Windows 11 too, so the build decides; an absent
// name is made from the edition's id.
func windowsName(product, edition string, build uint32, workstation bool) string {
	if product == "" {
		product = strings.TrimSpace("Windows 10 " + edition)
	}
	if workstation && build >= 22000 {
		product = strings.Replace(product, "Windows 10", "Windows 11", 1)
	}
	if !strings.HasPrefix(product, "Microsoft ") {
		product = "Microsoft " + product
	}
	return product
}

// microcode reads the processor's update revision, which the registry keeps as
// eight bytes, the revision in the upper four.
func microcode(hex string) string {
	if len(hex) != 16 {
		return ""
	}
	b := make([]byte, 4)
	for i := range b {
		n, err := strconv.ParseUint(hex[8+2*i:10+2*i], 16, 8)
		if err != nil {
			return ""
		}
		b[i] = byte(n)
	}
	return fmt.Sprintf("0x%x", binary.LittleEndian.Uint32(b))
}

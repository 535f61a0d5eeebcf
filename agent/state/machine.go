package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// MachineID is a digest of what names the hardware, 64 hex digits: the firmware's
// UUID of the computer, else the serial number of its board, else what the
// operating system calls itself. It tells a copied disk from its original. The
// firmware answers the administrator only, so others can get another id.
func MachineID() (string, error) { return MachineDigest("muster machine") }

// MachineDigest is another digest of the same name for each purpose: who has seen
// the id knows none of them.
func MachineDigest(purpose string) (string, error) {
	for _, ask := range machineNames {
		kind, name := ask()
		if name = strings.ToLower(strings.TrimSpace(name)); namesHardware(name) {
			sum := sha256.Sum256([]byte(purpose + " " + kind + " " + name))
			return hex.EncodeToString(sum[:]), nil
		}
	}
	return "", errors.New("find the machine's id: neither the firmware nor the operating system names this computer")
}

// namesHardware is false for what makers leave in thousands of computers alike.
func namesHardware(name string) bool {
	digits := strings.ReplaceAll(name, "-", "")
	switch {
	case len(digits) < 4, strings.Trim(digits, digits[:1]) == "":
		return false
	case digits == "03000200040005000006000700080009":
		return false
	}
	for _, junk := range []string{"filled by", "default string", "serial", "not specified", "not applicable", "none", "unknown", "invalid", "123456789", "empty"} {
		if strings.Contains(name, junk) {
			return false
		}
	}
	return true
}

// firmwareUUID finds the computer's UUID in SMBIOS structures (DMTF DSP0134, type
// 1); "" where there is none.
func firmwareUUID(b []byte) string {
	for len(b) >= 4 {
		kind, size := b[0], int(b[1])
		if size < 4 || size > len(b) {
			return ""
		}
		if kind == 1 && size >= 24 {
			return hex.EncodeToString(b[8:24])
		}
		_, rest, ok := bytes.Cut(b[size:], []byte{0, 0}) // the texts of the structure
		if !ok {
			return ""
		}
		b = rest
	}
	return ""
}

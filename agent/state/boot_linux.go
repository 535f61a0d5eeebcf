package state

import (
	"fmt"
	"os"
	"strings"
)

// BootID names this run of the computer: a UUID that the kernel made at boot.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("find the boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

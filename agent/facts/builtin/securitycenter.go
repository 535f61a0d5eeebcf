package builtin

import (
	"strconv"
	"strings"
)

// productState reads the bits by which a security product tells its state to
// the Security Center: 0x1000 on, 0x2000 snoozed, 0x3000 expired; 0xf0 old
// signatures. Microsoft does not document them; they are the same since Vista.
func productState(bits uint32) (state string, fresh bool) {
	state = []string{"Off", "On", "Snoozed", "Expired"}[bits>>12&3]
	return state, bits&0xf0 == 0
}

// healthName is osquery's word for the Security Center's health of one part.
func healthName(health uint32) string {
	names := []string{"Good", "Not Monitored", "Poor", "Snoozed"}
	if int(health) < len(names) {
		return names[health]
	}
	return "Unknown"
}

// wordList turns a list of numbers into osquery's words, joined by commas;
// UNKNOWN stands for a number without a word, and "" stays "".
func wordList(names []string, numbers string) string {
	if numbers == "" {
		return ""
	}
	var words []string
	for number := range strings.SplitSeq(numbers, ",") {
		name := "UNKNOWN"
		if n, err := strconv.Atoi(strings.TrimSpace(number)); err == nil && n >= 0 && n < len(names) {
			name = names[n]
		}
		words = append(words, name)
	}
	return strings.Join(words, ",")
}

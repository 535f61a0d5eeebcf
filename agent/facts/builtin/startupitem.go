package builtin

import "strings"

// startupCommand cuts a command line into the program and the rest, as Windows
// does: what is in quotation marks is the program; without them it is the
// longest run of words that exists as a file, else the first word.
func startupCommand(line string, exists func(path string) bool) (program, args string) {
	line = strings.TrimSpace(line)
	if quoted, ok := strings.CutPrefix(line, `"`); ok {
		program, args, _ = strings.Cut(quoted, `"`)
		return program, strings.TrimSpace(args)
	}
	for end := len(line); end > 0; end = strings.LastIndexByte(line[:end], ' ') {
		if exists(line[:end]) {
			return line[:end], strings.TrimSpace(line[end:])
		}
	}
	program, args, _ = strings.Cut(line, " ")
	return program, strings.TrimSpace(args)
}

// startupEnabled reads the bytes, in hex, that Windows keeps of a start-up item
// which was switched on or off: an odd first byte means off.
func startupEnabled(approved string) bool {
	return len(approved) < 2 || !strings.ContainsAny(approved[1:2], "13579BDF")
}

package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// ansi switches the console's escape sequences on; older consoles have none.
func ansi(f *os.File) bool {
	h := windows.Handle(f.Fd())
	var mode uint32
	return windows.GetConsoleMode(h, &mode) == nil &&
		windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

// elevated reports whether this process has the administrator's rights.
func elevated() bool { return windows.GetCurrentProcessToken().IsElevated() }

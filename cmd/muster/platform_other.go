//go:build !windows

package main

import "os"

func ansi(*os.File) bool { return true }

// elevated reports whether this process has the administrator's rights.
func elevated() bool { return os.Geteuid() == 0 }

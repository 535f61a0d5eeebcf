package main

import (
	"os"
	"syscall"
)

// peakMiB is the finished child's peak resident memory, by the kernel's accounting.
func peakMiB(p *os.ProcessState) float64 {
	return float64(p.SysUsage().(*syscall.Rusage).Maxrss) / 1024
}

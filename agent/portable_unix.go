//go:build unix

package agent

import "syscall"

const (
	errNoSpace  = syscall.ENOSPC
	errReadOnly = syscall.EROFS
)

package main

import (
	"os"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

func scriptTmpfs(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: tmpfs DIR SIZE")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755,size="+args[1]))
	ts.Defer(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			ts.Logf("unmount %s: %v", dir, err)
		}
	})
}

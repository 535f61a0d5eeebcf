// Package crash is for tests that break programs: strace kills a real process at
// a system call of its choice, lets the call fail, or writes down what the
// process does to its files; Disk then says what a power loss can leave of that.
//
// A kill leaves everything that was written, since the system has it; only the
// model of a disk shows a missing fsync. Both are needed.
package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Writes are the system calls, by kind, with which a Go program changes files.
// Names that this computer's processor does not have are passed over.
var Writes = []string{
	"openat", "write", "pwrite64", "fsync", "fdatasync", "fchmod",
	"?rename,renameat,?renameat2", "?unlink,unlinkat,?rmdir", "?mkdir,mkdirat", "?chmod,fchmodat",
}

// Available says why strace cannot be used here; nil where it can.
func Available() error {
	if _, err := exec.LookPath("strace"); err != nil {
		return fmt.Errorf("install the Debian package strace: %w", err)
	}
	if out, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		return fmt.Errorf("strace is not allowed here: %w: %s", err, out)
	}
	return nil
}

// Fault strikes at one system call of a process.
type Fault struct {
	Calls string // one of Writes
	When  int    // which call of the thread it is, from 1
	// Errno, such as "EIO", is what the call fails with; "" means that the process
	// is killed before the call.
	Errno string
}

func (f Fault) String() string {
	if f.Errno == "" {
		return fmt.Sprintf("killed at %s %d", f.Calls, f.When)
	}
	return fmt.Sprintf("%s at %s %d", f.Errno, f.Calls, f.When)
}

// inject is the fault in the words of strace.
func (f Fault) inject() string {
	what := "signal=SIGKILL"
	if f.Errno != "" {
		what = "error=" + f.Errno
	}
	return fmt.Sprintf("inject=%s:%s:when=%d", f.Calls, what, f.When)
}

// Run runs the command with the fault, and reports whether it came to it. Only
// where it was not killed is there an error of the command. The command must
// have no processes of its own that outlive it.
func (f Fault) Run(ctx context.Context, cmd *exec.Cmd) (struck bool, err error) {
	log, err := os.CreateTemp("", "strace-")
	if err != nil {
		return false, fmt.Errorf("run with a fault: %w", err)
	}
	defer os.Remove(log.Name())
	defer log.Close()
	err = under(ctx, cmd, "-f", "-o", log.Name(), "-e", "trace="+f.Calls, // --seccomp-bpf would lose the signal
		"-e", f.inject()).Run()
	if f.Errno != "" {
		b, readErr := os.ReadFile(log.Name())
		return injected(b), errors.Join(readErr, err)
	}
	if killed(err) {
		return true, nil
	}
	return false, err
}

// killed: strace ends as what it runs has ended.
func killed(err error) bool {
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// under is the command under strace.
func under(ctx context.Context, cmd *exec.Cmd, args ...string) *exec.Cmd {
	traced := exec.CommandContext(ctx, "strace", append(append(args, "--", cmd.Path), cmd.Args[1:]...)...)
	traced.Env, traced.Dir, traced.Stdout, traced.Stderr = cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr
	return traced
}

// Trace runs the command and gives what its main thread did to the files below
// root, in order, and what it said on standard output; kill, unless nil, ends
// it before that. Another thread that changes files there is an error: lock main
// to its thread.
func Trace(ctx context.Context, cmd *exec.Cmd, root string, kill *Fault) (events []Event, err error) {
	dir, err := os.MkdirTemp("", "strace-")
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer os.RemoveAll(dir)
	calls := ""
	for _, c := range append(Writes, "?link,linkat,?symlink,symlinkat,truncate,ftruncate,pwritev,writev,copy_file_range,sendfile") {
		calls += "," + c
	}
	args := []string{"-ff", "-y", "-xx", "-s", "4194304", "-o", filepath.Join(dir, "t"), "-e", "trace=" + calls[1:]}
	if kill != nil {
		args = append(args, "-e", kill.inject())
	}
	runErr := under(ctx, cmd, args...).Run()
	files, err := filepath.Glob(filepath.Join(dir, "t.*"))
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	busy := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("trace: %w", err)
		}
		some, err := Parse(b, root)
		if err != nil {
			return nil, err
		}
		for _, e := range some {
			if e.Op != Said {
				events = some
				busy++
				break
			}
		}
	}
	if busy > 1 {
		return nil, fmt.Errorf("trace: %d threads changed files below %s", busy, root)
	}
	if killed(runErr) {
		runErr = nil
	}
	return events, runErr
}

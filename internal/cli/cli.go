// Package cli runs a program's command line: signals, exit codes, and errors
// as "name: error: …" with the next step as "name: hint: …" on standard error.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes that mean the same in every program.
const (
	OK      = 0
	Failed  = 1
	Usage   = 2
	Stopped = 130 // by a signal, as a shell says it
)

// Outcome is how a program ends after an error.
type Outcome struct {
	Code int
	// Err is told; nil says nothing, because the answer is on the terminal already.
	Err error
	// Hint is the next step, or "".
	Hint string
}

// Run executes the command and returns the exit code. The first SIGINT or
// SIGTERM ends the command's context, the second the program.
func Run(root *cobra.Command, args []string, stdout, stderr io.Writer, judge func(error) Outcome) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return OK
	}
	o := judge(err)
	switch {
	case o.Err == nil:
		return o.Code
	case ctx.Err() != nil:
		fmt.Fprintf(stderr, "%s: error: stopped before it was done\n", root.Name())
		return Stopped
	}
	fmt.Fprintf(stderr, "%s: error: %v\n", root.Name(), o.Err)
	if o.Hint != "" {
		fmt.Fprintf(stderr, "%s: hint: %s\n", root.Name(), o.Hint)
	}
	return o.Code
}

// Command muster inspects this computer against the baseline, keeps a signed
// report for the state, and says in plain words what to fix first. It has all
// rights that it is given, and no network: muster-uplink carries the reports.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/internal/cli"
)

// Exit codes. Those of audit are a promise (see its help).
const (
	exitFail    = cli.Failed
	exitUsage   = cli.Usage
	exitUnknown = 3
	exitNoAudit = 4
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	return cli.Run(newRootCommand(), args, stdout, stderr, judge)
}

func judge(err error) cli.Outcome {
	var e *exitError
	if !errors.As(err, &e) {
		e = &exitError{code: exitFail, err: err}
		if isInput := errors.As(err, new(*agent.InputError)); isInput {
			e.code = exitUsage
		}
	}
	return cli.Outcome{Code: e.code, Err: e.err, Hint: hint(e)}
}

// hint is the next step after an error; "" where there is none to tell.
func hint(err error) string {
	var h interface{ Hint() string }
	switch {
	case errors.As(err, &h) && h.Hint() != "":
		return h.Hint()
	case errors.Is(err, fs.ErrPermission):
		return "run it as administrator, or name a file or folder of your own"
	}
	return ""
}

// exitError carries an exit code; without err there is nothing left to say.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usageError is a wrong command line; its hint is the command's help.
type usageError struct {
	error
	path  string
	meant []string // commands of a similar name
}

func (e usageError) Hint() string {
	if len(e.meant) > 0 {
		return "did you mean " + e.path + " " + strings.Join(e.meant, " or ") + "?"
	}
	return e.path + " --help shows how to use it"
}

func usage(cmd *cobra.Command, err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return &exitError{exitUsage, usageError{error: err, path: cmd.CommandPath()}}
}

// unknown is the usage error for a subcommand that cmd does not have.
func unknown(cmd *cobra.Command, name string) error {
	err := fmt.Errorf("unknown command %q for %s", name, cmd.CommandPath())
	return &exitError{exitUsage, usageError{err, cmd.CommandPath(), cmd.SuggestionsFor(name)}}
}

// noArgs refuses every argument.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("argument %q is one too many", args[0])
	}
	return nil
}

func atMostOneArg(cmd *cobra.Command, args []string) error {
	return noArgs(cmd, args[min(len(args), 1):])
}

// oneArg wants one argument and says what it is where it is missing.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("the argument is missing: %s", what)
		}
		return noArgs(cmd, args[1:])
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "muster",
		Short: "Inspect this computer against the election security baseline",
		Long: `muster inspects this computer against the minimum security baseline for election
offices, and says what to fix first. With a site file it also keeps a signed report
for the state. It never uses the network, but for "muster policy publish", which is for
the state itself.`,
		Example: `  sudo muster audit                 inspect this computer
  muster explain MVS-ENC-01         what a control asks for, and why
  muster status                     what happened to the reports`,
		Version:       muster.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		newAuditCommand(),
		newExplainCommand(),
		newStatusCommand(),
		newReportCommand(),
		newCourierCommand(),
		newFactsCommand(),
		newPolicyCommand(),
		newMediaCommand(),
		newVerifyMediaCommand(),
		newServiceCommand(),
		newVersionCommand(),
	)
	root.SetFlagErrorFunc(usage)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	strict(root)
	return root
}

// strict makes every wrong argument, missing flag and unknown subcommand a usage
// error; cobra would answer some of them with the help text and success.
func strict(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			return usage(cmd, cmp.Or(check(cmd, args), cmd.ValidateRequiredFlags()))
		}
	}
	switch {
	case cmd.Name() == "help":
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if found, rest, err := cmd.Root().Find(args); err == nil && len(rest) > 0 {
				return unknown(found, rest[0])
			}
			return nil
		}
	case cmd.HasSubCommands() && !cmd.Runnable():
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(cmd, args[0])
			}
			return cmd.Help()
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

// exitStatus ends the help of a command with its exit codes.
func exitStatus(cmd *cobra.Command, codes string) {
	plain := new(cobra.Command).HelpFunc() // a template would link text/template, and that 3 MB
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		plain(cmd, args)
		fmt.Fprintf(cmd.OutOrStdout(), "\nEXIT STATUS%s\n", codes)
	})
}

// complete offers the words that a flag takes to the shell.
func complete(cmd *cobra.Command, flag string, words ...string) {
	// It fails only for a flag that the command does not have.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "muster version %s\n", muster.Version)
			return err
		},
	}
}

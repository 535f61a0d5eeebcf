// Command muster-uplink carries a host's signed reports to the collector, and
// receipts and policies back. It stays resident without rights: it reads the
// outbox, writes mail for muster, and can do nothing else.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/state"
	"github.com/passmuster/muster/agent/uplink"
	"github.com/passmuster/muster/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	return cli.Run(newRootCommand(), args, stdout, stderr, judge)
}

func judge(err error) cli.Outcome {
	if e := (*usageError)(nil); errors.As(err, &e) {
		return cli.Outcome{Code: cli.Usage, Err: err, Hint: e.hint}
	}
	return cli.Outcome{Code: cli.Failed, Err: err, Hint: "nothing is lost: reports stay in the outbox until the collector has receipted them"}
}

// usageError is a wrong command line or configuration.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

type flags struct {
	state, site, logFormat  string
	tailnetDir, authKeyFile string
	once, version           bool
	interval                time.Duration
	maxRate                 string
}

func newRootCommand() *cobra.Command {
	var f flags
	root := &cobra.Command{
		Use:   "muster-uplink",
		Short: "Carry this host's reports to the collector",
		Long: `muster-uplink carries the signed reports that muster has left in the outbox to the
collector of the state, and brings receipts and policies back. It runs until it is
stopped, or does it once with --once.

Where the site file names a collector on another computer, it joins the state's tailnet
as a node of its own. The first time that takes an auth key, in --auth-key-file or in
the environment variable MUSTER_AUTH_KEY; both are forgotten once it is in.

Exit codes: 0 stopped, or all mail carried; 1 the collector was not reached, or, with
--once, it refused a report; 2 wrong command line or site file.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	help := func(cmd *cobra.Command, err error) error {
		return &usageError{err, cmd.CommandPath() + " --help shows how to use it"}
	}
	runE := func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return help(cmd, fmt.Errorf("unknown argument %q", args[0]))
		}
		if f.version {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), root.Name(), muster.Version)
			return err
		}
		return f.run(cmd.Context(), cmd.ErrOrStderr())
	}
	root.Args, root.RunE = cobra.ArbitraryArgs, runE
	root.SetFlagErrorFunc(help)
	// Not cobra's own: with a template of text/template the linker keeps every method
	// of the program, a third of its size.
	root.Flags().BoolVarP(&f.version, "version", "v", false, "print the version")
	p := root.PersistentFlags()
	p.StringVar(&f.state, "state", state.DefaultDir(), "state `FOLDER` that muster has made")
	p.StringVar(&f.site, "site", defaultFile("site.json"), "site `FILE` that ties this host to its state")
	p.BoolVar(&f.once, "once", false, "carry all mail once, then stop")
	p.DurationVar(&f.interval, "interval", uplink.DefaultInterval, "time between check-ins where the collector names none")
	p.StringVar(&f.maxRate, "max-rate", "", "use at most this much of the line, both ways together: a `RATE` such as 64kbit or 2mbit")
	p.StringVar(&f.tailnetDir, "tailnet-dir", "", "`FOLDER` for this computer's place in the tailnet (default: uplink/tailnet in the state folder)")
	p.StringVar(&f.authKeyFile, "auth-key-file", "", "`FILE` with the key that lets this computer into the tailnet; deleted once it is in (default: uplink/authkey in the state folder)")
	p.StringVar(&f.logFormat, "log-format", "text", "`FORMAT` of the log on standard error: text or json")
	root.AddCommand(&cobra.Command{
		Use: "run", Short: "Carry mail until stopped (the default)",
		Args: cobra.ArbitraryArgs, RunE: runE,
	})
	return root
}

// defaultFile lies where the installer puts it.
func defaultFile(name string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(state.DefaultDir(), name)
	}
	return "/etc/muster/" + name
}

// audited is what the uplink reads of the status that muster leaves: which bundle
// judged last, and why the one that came last was refused.
type audited struct {
	Policy        muster.PolicyRef `json:"policy"`
	PolicyRefused string           `json:"policy_refused"`
}

// lastAudit reads it; what cannot be read is unknown, and then nothing is fetched twice.
func lastAudit(folder *state.Folder) audited {
	var last audited
	if found, err := folder.ReadStatus("audit", &last); err != nil || !found {
		return audited{PolicyRefused: "unknown"}
	}
	return last
}

func newLogger(w io.Writer, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, &usageError{fmt.Errorf("--log-format %q is not known", format), "use text or json"}
}

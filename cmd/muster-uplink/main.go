// Command muster-uplink carries a host's signed reports to the collector, and
// receipts and policies back. It stays resident without rights: it reads the
// outbox, writes mail for muster, and can do nothing else.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/outbox"
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
	state, site, logFormat string
	once                   bool
	interval               time.Duration
}

func newRootCommand() *cobra.Command {
	var f flags
	root := &cobra.Command{
		Use:   "muster-uplink",
		Short: "Carry this host's reports to the collector",
		Long: `muster-uplink carries the signed reports that muster has left in the outbox to the
collector of the state, and brings receipts and policies back. It runs until it is
stopped, or does it once with --once.

Exit codes: 0 stopped, or all mail carried; 1 the collector was not reached, or, with
--once, it refused a report; 2 wrong command line or site file.`,
		Version:       muster.Version,
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
		return f.run(cmd.Context(), cmd.ErrOrStderr())
	}
	root.Args, root.RunE = cobra.ArbitraryArgs, runE
	root.SetFlagErrorFunc(help)
	root.SetVersionTemplate("muster-uplink {{.Version}}\n")
	p := root.PersistentFlags()
	p.StringVar(&f.state, "state", state.DefaultDir(), "state `FOLDER` that muster has made")
	p.StringVar(&f.site, "site", defaultSite(), "site `FILE` that ties this host to its state")
	p.BoolVar(&f.once, "once", false, "carry all mail once, then stop")
	p.DurationVar(&f.interval, "interval", uplink.DefaultInterval, "time between check-ins where the collector names none")
	p.StringVar(&f.logFormat, "log-format", "text", "`FORMAT` of the log on standard error: text or json")
	root.AddCommand(&cobra.Command{
		Use: "run", Short: "Carry mail until stopped (the default)",
		Args: cobra.ArbitraryArgs, RunE: runE,
	})
	return root
}

func defaultSite() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(cmp.Or(os.Getenv("ProgramData"), `C:\ProgramData`), "Muster", "site.json")
	}
	return "/etc/muster/site.json"
}

func (f *flags) run(ctx context.Context, stderr io.Writer) error {
	if f.interval <= 0 {
		return &usageError{fmt.Errorf("--interval %v is not a time span", f.interval), "use for example --interval 15m"}
	}
	logger, err := newLogger(stderr, f.logFormat)
	if err != nil {
		return err
	}
	u, err := f.open(logger)
	if err != nil {
		return err
	}
	if f.once {
		return u.Once(ctx)
	}
	logger.Info("started", "version", muster.Version, "state", f.state)
	err = u.Run(ctx)
	logger.Info("stopped")
	return err
}

func (f *flags) open(logger *slog.Logger) (*uplink.Uplink, error) {
	b, err := os.ReadFile(f.site)
	if err != nil {
		hint := "ask the state for it, and give its place with --site"
		if errors.Is(err, fs.ErrPermission) {
			hint = "the user that runs muster-uplink must be able to read it"
		}
		return nil, &usageError{fmt.Errorf("site file: %w", err), hint}
	}
	site, err := muster.ParseSite(b)
	if err != nil {
		return nil, &usageError{err, "correct " + f.site + ", or ask the state for a new one"}
	}
	folder, err := state.OpenReader(f.state)
	if err != nil {
		return nil, &usageError{err, "muster audit makes the folder; --state says where it is"}
	}
	box, err := outbox.OpenReader(folder.OutboxDir())
	if err != nil {
		return nil, &usageError{err, "the user that runs muster-uplink must be in the group " + state.UplinkGroup}
	}
	u, err := uplink.New(uplink.Options{
		Site:           site,
		Outbox:         box,
		EnrollmentFile: folder.EnrollmentFile(),
		ReceiptsDir:    folder.ReceiptsDir(),
		InboxDir:       folder.InboxDir(),
		StatusFile:     folder.StatusFile("uplink"),
		PolicyDigest:   func() string { return lastAudit(folder).Policy.Digest },
		PolicyRefused:  func() bool { return lastAudit(folder).PolicyRefused != "" },
		Interval:       f.interval,
		Logger:         logger,
	})
	if err != nil {
		return nil, &usageError{err, "correct " + f.site + ", or ask the state for a new one"}
	}
	return u, nil
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

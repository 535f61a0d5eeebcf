// Command muster-collector runs at the state: it receives signed reports from
// the counties' computers, keeps them, and shows where every county stands.
package main

import (
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	return cli.Run(newRootCommand(), args, stdout, stderr, judge)
}

func judge(err error) cli.Outcome {
	var u *usageError
	if errors.As(err, &u) {
		return cli.Outcome{Code: cli.Usage, Err: err, Hint: u.path + " --help shows how to use it"}
	}
	return cli.Outcome{Code: cli.Failed, Err: err}
}

// usageError is a wrong command line.
type usageError struct {
	error
	path string
}

func usage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err, cmd.CommandPath()}
}

// options are the flags that every command has, and those of serve and site.
type options struct {
	collector.Options
	logJSON bool
}

func newRootCommand() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:   "muster-collector",
		Short: "Receive the counties' reports and show where they stand",
		Long: `muster-collector runs at the state. It receives signed reports from the counties'
computers, gives receipts for what it has stored, and shows where every county stands.

Its state is one folder: muster.db and keys/. Keep keys/ secret, and keep a copy.

Exit codes: 0 done; 1 failed; 2 wrong command line.`,
		Example: `  muster-collector site --county 17031 --policy-key policy-key.pem.pub > site.json
  muster-collector serve --state 17 --policy bundle.tar.gz`,
		Version:       muster.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(usage)
	f := root.PersistentFlags()
	f.StringVar(&o.Data, "data", "muster-data", "folder that holds the collector's state")
	f.StringVar(&o.Name, "name", "", "name of the collector for people (default: the state's name)")
	f.BoolVar(&o.Demo, "demo", false, "mark every host as invented data")
	f.BoolVar(&o.logJSON, "log-json", false, "write the log as JSON lines")
	root.AddCommand(newServeCommand(o), newSiteCommand(o), newHostsCommand(o), newPolicyCommand(o), newRingCommand(o), newLinkCommand(o))
	return root
}

// open opens the state folder; the caller closes it.
func (o *options) open(cmd *cobra.Command) (*collector.Collector, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
		if o.logJSON {
			o.Logger = slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
		}
	}
	return collector.Open(cmd.Context(), o.Options)
}

// with runs do with the open state folder.
func (o *options) with(cmd *cobra.Command, do func(*collector.Collector) error) error {
	c, err := o.open(cmd)
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

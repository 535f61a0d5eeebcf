// Command muster-collector runs at the state: it receives signed reports from
// the counties' computers, keeps them, and shows where every county stands.
package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/settings"
	"github.com/passmuster/muster/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	return cli.Run(newRootCommand(), args, stdout, stderr, judge)
}

func judge(err error) cli.Outcome {
	var found *foundError
	if errors.As(err, &found) {
		return cli.Outcome{Code: found.code}
	}
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

// options are the flags that every command has.
type options struct {
	config string // the configuration file
}

func newRootCommand() *cobra.Command {
	o := &options{}
	root := &cobra.Command{
		Use:   "muster-collector",
		Short: "Receive the counties' reports and show where they stand",
		Long: `muster-collector runs at the state. It receives signed reports from the counties'
computers, gives receipts for what it has stored, and shows where every county stands.

Its state is one folder: muster.db and keys/. Keep keys/ secret, and keep a backup.

Exit codes: 0 done; 1 failed; 2 wrong command line or configuration.`,
		Example: `  muster-collector site --county 17031 --policy-key policy-key.pem.pub > site.json
  muster-collector serve --state 17 --policy bundle.tar.gz`,
		Version:       muster.Version,
		Args:          none,
		RunE:          help,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(usage)
	f := root.PersistentFlags()
	f.StringVar(&o.config, "config", "", "configuration file (default: "+settings.DefaultFile+" where it is there)")
	f.String("data", settings.Default().Data, "folder that holds the collector's state")
	setting(f, "data", "data")
	f.String("database", "", "address of a PostgreSQL, postgres://user@host/database (default: a file in the data folder)")
	setting(f, "database", "database.url")
	f.String("name", "", "name of the collector for people (default: the state's name)")
	setting(f, "name", "name")
	f.Bool("demo", false, "mark every host as invented data")
	setting(f, "demo", "demo")
	f.Bool("log-json", false, "write the log as JSON lines")
	setting(f, "log-json", "log.format", "json")
	root.AddCommand(newServeCommand(o), newSiteCommand(o), newLinkCommand(o), newHostsCommand(o), newExpectCommand(o), newMissingCommand(o),
		newPolicyCommand(o), newRingCommand(o), newKeysCommand(o), newWebhooksCommand(o), newConfigCommand(o), newCheckCommand(o),
		newBackupCommand(o), newRestoreCommand(o))
	return root
}

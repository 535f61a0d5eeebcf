package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/internal/seal"
)

func newBackupCommand(o *options) *cobra.Command {
	var to string
	var b collector.BackupOptions
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write all that the collector knows into one file, while it serves",
		Long: `Write all that the collector knows into one new file, as it is at one instant, while it
serves. The keys are in it too, so keep it as secret as they are: --recipient seals it to
an age key, which stays elsewhere. Who is signed in, and the node of the tailnet, are not
in it.`,
		Example: `  muster-collector backup /mnt/backup/muster-2026-11-23.backup
  muster-collector backup muster.backup --recipient age1…`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to != "" {
				var err error
				if b.To, err = seal.ParseRecipient(to); err != nil {
					return usage(cmd, err)
				}
			}
			show := newProgress()
			b.Progress = show.rows
			defer show.clear()
			return o.with(cmd, func(c *collector.Collector) error {
				if err := c.Backup(cmd.Context(), args[0], console, b); err != nil {
					return err
				}
				show.clear()
				info, err := os.Stat(args[0])
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "wrote %s, %d bytes\n", args[0], info.Size())
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&b.NoKeys, "no-keys", false, "leave the keys out: without them nobody can go on from the backup")
	cmd.Flags().StringVar(&to, "recipient", "", "age recipient (age1…) to seal it to")
	return cmd
}

func newRestoreCommand(o *options) *cobra.Command {
	var identity string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into an empty data folder, or an empty database",
		Long: `Put a backup into an empty data folder and, where one is configured, an empty database,
of whichever kind the backup came from. The whole file is looked at before anything is
written; one that is cut off or was changed is refused.`,
		Example: `  muster-collector restore muster.backup --data /var/lib/muster-collector`,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var keys seal.Keys
			if identity != "" {
				b, err := os.ReadFile(identity)
				if err == nil {
					keys, err = seal.ParseKeys(b)
				}
				if err != nil {
					return usage(cmd, fmt.Errorf("read the age key %s: %w", identity, err))
				}
			}
			l, err := o.load(cmd)
			if err != nil {
				return err
			}
			co, err := base(l, cmd.ErrOrStderr())
			if err != nil {
				return usage(cmd, err)
			}
			got, err := collector.Restore(cmd.Context(), co, args[0], keys)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "restored %d rows, as of %s\n", got.Rows, got.MadeAt.Format(time.RFC3339))
			if !got.Keys {
				fmt.Fprintf(cmd.ErrOrStderr(), "next: the backup has no keys: put keys/ of the collector it came from into %s before the first start\n", co.Data)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&identity, "identity", "", "file of the age key that opens a sealed backup")
	return cmd
}

// progress of something whose end is not known, on a terminal only.
type progress struct{ bar *progressbar.ProgressBar }

func newProgress() *progress {
	if !term.IsTerminal(int(os.Stderr.Fd())) {
		return &progress{}
	}
	return &progress{progressbar.NewOptions(-1, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetDescription("Writing rows"),
		progressbar.OptionClearOnFinish(), progressbar.OptionShowCount(), progressbar.OptionThrottle(200*time.Millisecond))}
}

func (p *progress) rows(n int) {
	if p.bar != nil {
		_ = p.bar.Set(n) // a bar that cannot be drawn is no reason to stop
	}
}

func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

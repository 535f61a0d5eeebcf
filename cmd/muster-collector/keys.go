package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/collector"
)

func newKeysCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List and rotate the keys that sign receipts and open courier files",
		Long: `List and rotate the keys. There are two kinds:

  receipt  signs receipts. Site files name all of these keys, and hosts trust all that
           their site file names. So add a key first, give every host a new site file,
           and only then take the key into use: a host that does not know the key that
           signs keeps its reports until it does.
  age      opens courier files. Site files name the one in use; all of them open. So a
           new one can be taken into use at once.

Several collectors before one database need the same keys/: copy it to the others after
each step. A change holds from the next start of a collector.`,
		Example: `  muster-collector keys add receipt
  muster-collector keys use receipt 0123456789ab`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(cmd, func(c *collector.Collector) error {
				list, err := c.Keys()
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "KIND\tID\tSTATE")
				for _, k := range list {
					state := "known"
					if k.InUse {
						state = "in use"
					}
					fmt.Fprintf(w, "%s\t%s\t%s\n", k.Kind, k.ID, state)
				}
				return w.Flush()
			})
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "add KIND",
		Short: "Make a key that is not in use yet",
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := choice(cmd, "kind", args[0], collector.ReceiptKey, collector.AgeKey); err != nil {
				return err
			}
			return o.with(cmd, func(c *collector.Collector) error {
				k, err := c.AddKey(cmd.Context(), args[0], console)
				if err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "added %s key %s\n", k.Kind, k.ID)
				next := "muster-collector keys use " + k.Kind + " " + k.ID
				if k.Kind == collector.ReceiptKey {
					next = "copy keys/ to the other collectors, give every host a new site file, and then " + next
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "next: %s\n", next)
				return nil
			})
		},
	}, &cobra.Command{
		Use:   "use KIND ID",
		Short: "Take a key into use",
		Args:  exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.with(cmd, func(c *collector.Collector) error {
				if err := c.UseKey(cmd.Context(), args[0], args[1], console); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s key %s is in use\n", args[0], args[1])
				fmt.Fprintf(cmd.ErrOrStderr(), "next: copy keys/ to the other collectors, and start every collector anew\n")
				return nil
			})
		},
	}, &cobra.Command{
		Use:   "drop KIND ID",
		Short: "Forget a key for good",
		Long: `Forget a key for good, which must not be in use. Drop an age key only when no courier
file that is sealed to it can come any more, and a receipt key when no new site file
shall name it.`,
		Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.with(cmd, func(c *collector.Collector) error {
				if err := c.DropKey(cmd.Context(), args[0], args[1], console); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "dropped %s key %s\n", args[0], args[1])
				return nil
			})
		},
	})
	return cmd
}

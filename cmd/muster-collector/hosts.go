package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
)

func newHostsCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hosts",
		Short: "List hosts, approve those that wait, ask for audits, retire",
		Args:  none,
		RunE:  help,
	}
	cmd.AddCommand(newActCommand(o, "approve", "Let the reports of waiting hosts count", "approved", (*collector.Collector).Approve),
		newActCommand(o, "audit", "Ask hosts for an audit at their next contact", "asked", (*collector.Collector).RequestAudit),
		newActCommand(o, "retire", "Take hosts out of every list and count, until they enroll anew", "retired", (*collector.Collector).Retire),
		newActCommand(o, "clear-clone", "Forget what shows that hosts were copied", "cleared", (*collector.Collector).ClearClone), &cobra.Command{
			Use:   "list",
			Short: "List hosts, those that wait for approval first",
			Args:  none,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return o.with(cmd, func(c *collector.Collector) error { return listHosts(cmd.Context(), c, cmd.OutOrStdout()) })
			},
		})
	return cmd
}

type actFunc func(c *collector.Collector, ctx context.Context, id muster.HostID, actor string) error

func newActCommand(o *options, name, short, did string, act actFunc) *cobra.Command {
	return &cobra.Command{
		Use:   name + " ID...",
		Short: short,
		Args:  func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.MinimumNArgs(1)(cmd, args)) },
		RunE: func(cmd *cobra.Command, args []string) error {
			var ids []muster.HostID
			for _, a := range args {
				id, err := muster.ParseHostID(a)
				if err != nil {
					return usage(cmd, fmt.Errorf("%s: %w", a, err))
				}
				ids = append(ids, id)
			}
			return o.with(cmd, func(c *collector.Collector) error {
				for _, id := range ids {
					err := act(c, cmd.Context(), id, console)
					if errors.Is(err, fs.ErrNotExist) {
						return fmt.Errorf("no host has the id %s, or it waits for approval: muster-collector hosts list shows them", id)
					}
					if err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", did, id)
				}
				return nil
			})
		},
	}
}

func listHosts(ctx context.Context, c *collector.Collector, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tCOUNTY\tPROFILE\tHOSTNAME\tLAST REPORT\tREMARK")
	print := func(hosts []muster.HostStanding) {
		for _, h := range hosts {
			last := "never"
			if !h.LastSeen.IsZero() {
				last = h.LastSeen.Format(time.RFC3339)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%q\t%s\t%s\n", h.ID, h.State, h.County, h.Profile, h.Hostname, last, remark(h))
		}
	}
	pending, err := c.Pending(ctx, "")
	print(pending)
	q := muster.HostQuery{Limit: 1000}
	for more := true; more && err == nil; more = q.After != "" {
		var page muster.HostPage
		page, err = c.Hosts(ctx, q)
		print(page.Hosts)
		q.After = page.Next
	}
	return errors.Join(err, w.Flush())
}

// remark says what is not usual about a host's identity.
func remark(h muster.HostStanding) string {
	var list []string
	if h.Waits != "" {
		list = append(list, h.Waits)
	}
	if h.Missing > 0 {
		list = append(list, fmt.Sprintf("%d reports never came", h.Missing))
	}
	if h.Conflict {
		list = append(list, fmt.Sprintf("two computers may have its key (%s)", h.ConflictReason))
	}
	if h.Replaces != "" {
		list = append(list, "same machine as "+string(h.Replaces))
	}
	if h.ReplacedBy != "" {
		list = append(list, "replaced by "+string(h.ReplacedBy))
	}
	return strings.Join(list, ", ")
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/collector"
)

// newest deliveries that are listed.
const newest = 20

func newWebhooksCommand(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "List the webhooks and what became of the newest events",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.serving(cmd, func(c *collector.Collector) error { return listWebhooks(cmd, c) })
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "test NAME",
		Short: "Send a webhook an event that says that nothing has happened",
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.serving(cmd, func(c *collector.Collector) error {
				status, err := c.TestHook(cmd.Context(), args[0])
				if err != nil {
					return fmt.Errorf("webhook %s: %w", args[0], err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s took it: %d %s\n", args[0], status, http.StatusText(status))
				return nil
			})
		},
	})
	return cmd
}

// serving is with, with what serve needs beside.
func (o *options) serving(cmd *cobra.Command, do func(*collector.Collector) error) error {
	c, _, err := o.open(cmd, serving)
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Close())
}

func listWebhooks(cmd *cobra.Command, c *collector.Collector) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WEBHOOK\tFORMAT\tSIGNED\tEVENTS\tCOUNTIES")
	for _, h := range c.Hooks {
		var counties []string
		for _, county := range h.Counties {
			counties = append(counties, string(county))
		}
		signed := "no"
		if len(h.Secrets) > 0 {
			signed = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", h.Name, cmp.Or(string(h.Format), "json"), signed, cmp.Or(strings.Join(h.Kinds, ","), "all"), cmp.Or(strings.Join(counties, ","), "all"))
	}
	list, err := c.Deliveries(cmd.Context(), newest)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		fmt.Fprintln(w, "\nEVENT\tAT\tWEBHOOK\tATTEMPTS\tRESULT")
	}
	for _, d := range list {
		result := d.Error
		switch {
		case !d.Done.IsZero():
			result = fmt.Sprintf("taken %s", d.Done.Format(time.RFC3339))
		case d.NextAt.IsZero():
			result += "; given up"
		}
		fmt.Fprintf(w, "%d %s\t%s\t%s\t%d\t%s\n", d.ID, d.Kind, d.At.Format(time.RFC3339), d.Hook, d.Attempts, cmp.Or(result, "waits"))
	}
	return w.Flush()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
)

// console is the actor of what is done on the collector's own computer.
const console = "console"

func newPolicyCommand(o *options) *cobra.Command {
	var ring string
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Offer policy bundles to the hosts, ring by ring",
		Long: `Offer policy bundles to the hosts, ring by ring: canary, early, all. A host is offered
the highest version that reaches its ring and is not paused. To take a policy back,
publish the one before with a higher version: hosts never go back to a lower one.`,
		Example: `  muster-collector policy publish baseline-8.tar.gz
  muster-collector policy list
  muster-collector policy promote 8`,
		Args: none,
		RunE: help,
	}
	publishing := &cobra.Command{
		Use:     "publish FILE",
		Short:   "Offer a signed bundle, to the canaries first",
		Example: `  muster-collector policy publish baseline-8.tar.gz --ring all`,
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := muster.ParseRing(ring)
			if err != nil {
				return usage(cmd, err)
			}
			return o.with(cmd, func(c *collector.Collector) error { return publish(cmd, c, args[0], to) })
		},
	}
	publishing.Flags().StringVar(&ring, "ring", string(muster.RingCanary), "how far it is offered: canary, early or all")
	cmd.AddCommand(publishing, &cobra.Command{
		Use:   "list",
		Short: "List what was published, and how many hosts run it",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(cmd, func(c *collector.Collector) error { return listPolicies(cmd, c) })
		},
	}, newStepCommand(o, "promote", "Offer a policy to the next ring; after a pause, to the ring where it was", (*collector.Collector).Promote),
		newStepCommand(o, "pause", "Offer a policy to nobody for now; hosts that have it keep it", (*collector.Collector).Pause))
	return cmd
}

type stepFunc func(c *collector.Collector, ctx context.Context, version int64, actor string) (muster.Release, error)

func newStepCommand(o *options, name, short string, step stepFunc) *cobra.Command {
	return &cobra.Command{
		Use:     name + " VERSION",
		Short:   short,
		Example: "  muster-collector policy " + name + " 8",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			version, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usage(cmd, fmt.Errorf("%q is no version: muster-collector policy list shows them", args[0]))
			}
			return o.with(cmd, func(c *collector.Collector) error {
				r, err := step(c, cmd.Context(), version, console)
				if errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("no policy has version %d: muster-collector policy list shows them", version)
				}
				if err != nil {
					return err
				}
				return reached(cmd, c, r)
			})
		},
	}
}

func publish(cmd *cobra.Command, c *collector.Collector, name string, ring muster.Ring) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read policy bundle: %w", err)
	}
	r, err := c.Publish(cmd.Context(), b, ring, console)
	if err != nil {
		return err
	}
	return reached(cmd, c, r)
}

// reached tells how far a release is offered now, and what to do next.
func reached(cmd *cobra.Command, c *collector.Collector, r muster.Release) error {
	if r.Paused {
		fmt.Fprintf(cmd.OutOrStdout(), "policy version %d (%s): paused; policy promote %d goes on\n", r.Version, r.Revision, r.Version)
		return nil
	}
	hosts, err := c.Reach(cmd.Context(), r.Ring)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "policy version %d (%s): offered as far as ring %s, hosts there: %d\n", r.Version, r.Revision, r.Ring, hosts)
	if next := r.Ring.Next(); next != "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "next: look at what it changed there, then muster-collector policy promote %d (ring %s)\n", r.Version, next)
	}
	return nil
}

func listPolicies(cmd *cobra.Command, c *collector.Collector) error {
	releases, err := c.Releases(cmd.Context())
	if err != nil {
		return err
	}
	use, err := c.PolicyUse(cmd.Context())
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tREVISION\tOFFERED TO\tHOSTS\tPUBLISHED\tBY")
	for _, r := range releases {
		hosts := 0
		for _, u := range use {
			if u.Policy == r.Policy {
				hosts += u.Hosts
			}
		}
		ring := string(r.Ring)
		if r.Paused {
			ring = "paused"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%s\n", r.Version, r.Revision, ring, hosts, r.Published.Format(time.RFC3339), r.Actor)
	}
	return w.Flush()
}

func newRingCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "ring [COUNTY|HOST RING]",
		Short: "Put a county or a host into a ring, or list who is in one",
		Long: `Put a county or a host into a ring: canary, early or all. A host's own ring goes before
that of its county; whoever is in none is in all.`,
		Example: `  muster-collector ring 17031 canary
  muster-collector ring`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usage(cmd, cobra.ExactArgs(2)(cmd, args))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.with(cmd, func(c *collector.Collector) error {
				if len(args) == 0 {
					return listRings(cmd, c)
				}
				m, err := muster.ParseRingMember(args[0], args[1])
				if err != nil {
					return usage(cmd, err)
				}
				if err := c.SetRing(cmd.Context(), m, console); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s is in ring %s\n", args[0], args[1])
				return nil
			})
		},
	}
}

func listRings(cmd *cobra.Command, c *collector.Collector) error {
	members, err := c.RingMembers(cmd.Context())
	if err != nil {
		return err
	}
	for _, m := range members {
		fmt.Fprintf(cmd.OutOrStdout(), "%s%s\t%s\n", m.County, m.Host, m.Ring)
	}
	fmt.Fprintln(cmd.OutOrStdout(), "everyone else\tall")
	return nil
}

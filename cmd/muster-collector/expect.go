package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector"
	"github.com/passmuster/muster/collector/api"
)

func newExpectCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "expect COUNTY FILE",
		Short: "Say which computers a county has, so that those that never enroll are missing",
		Long: `Say which computers a county has: a CSV file with the columns name (the hostname) and,
if wanted, profile and note; - reads it from standard input. The list replaces the one
before, and what changed is printed. A computer that no active host of the county is
named like is missing.`,
		Example: `  muster-collector expect 17031 cook-county.csv`,
		Args:    exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			county, err := muster.ParseCounty(args[0])
			if err != nil {
				return usage(cmd, err)
			}
			list, err := readExpected(cmd, args[1])
			if err != nil {
				return usage(cmd, err)
			}
			return o.with(cmd, func(c *collector.Collector) error { return expect(cmd, c, county, list) })
		},
	}
}

func readExpected(cmd *cobra.Command, name string) ([]muster.ExpectedHost, error) {
	var in io.Reader = cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	list, err := api.ParseExpected(in)
	if err != nil {
		return nil, fmt.Errorf("read the list %s: %w", name, err)
	}
	return list, nil
}

func expect(cmd *cobra.Command, c *collector.Collector, county muster.County, list []muster.ExpectedHost) error {
	before, err := c.Expected(cmd.Context(), county)
	if err == nil {
		err = c.Expect(cmd.Context(), county, list, console)
	}
	if err != nil {
		return err
	}
	after, err := c.Expected(cmd.Context(), county)
	if err != nil {
		return err
	}
	was, is, missing := byName(before), byName(after), 0
	for _, e := range before {
		if _, there := is[strings.ToLower(e.Name)]; !there {
			fmt.Fprintf(cmd.OutOrStdout(), "- %q\n", e.Name)
		}
	}
	for _, e := range after {
		if _, there := was[strings.ToLower(e.Name)]; !there {
			fmt.Fprintf(cmd.OutOrStdout(), "+ %q\n", e.Name)
		}
		if e.Host == "" {
			missing++
		}
	}
	fmt.Fprintf(cmd.OutOrStdout(), "county %s expects %d computers; missing: %d\n", county, len(after), missing)
	return nil
}

func byName(list []muster.ExpectedHost) map[string]muster.ExpectedHost {
	m := make(map[string]muster.ExpectedHost, len(list))
	for _, e := range list {
		m[strings.ToLower(e.Name)] = e
	}
	return m
}

func newMissingCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "missing [COUNTY]",
		Short: "List the expected computers that never enrolled, or are gone",
		Args:  func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.MaximumNArgs(1)(cmd, args)) },
		RunE: func(cmd *cobra.Command, args []string) error {
			var county muster.County
			if len(args) == 1 {
				var err error
				if county, err = muster.ParseCounty(args[0]); err != nil {
					return usage(cmd, err)
				}
			}
			return o.with(cmd, func(c *collector.Collector) error {
				list, err := c.Expected(cmd.Context(), county)
				if err != nil {
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "COUNTY\tNAME\tPROFILE\tEXPECTED SINCE\tNOTE")
				for _, e := range list {
					if e.Host == "" {
						fmt.Fprintf(w, "%s\t%q\t%s\t%s\t%q\n", e.County, e.Name, e.Profile, e.Since.Format(time.DateOnly), e.Note)
					}
				}
				return w.Flush()
			})
		},
	}
}

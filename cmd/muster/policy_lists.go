package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/policies/bundle"
)

func newPolicyListsCommand() *cobra.Command {
	var at place
	var county, host, over, format string
	cmd := &cobra.Command{
		Use:   "lists [FILE]",
		Short: "Show the dated lists, how old they are, and who reads them",
		Long: `Show the dated lists that controls read: the date and age of each, after how many days
it is too old, whose layer it comes from, and the controls that read it. A list that is
missing or stale makes these unknown.

The lists of one host lie over those of its county, and these over the state's, each
list whole; --lists lies over all. Without FILE, a bundle or a folder of sources, it
shows what this host would use.`,
		Example: `  muster policy lists
  muster policy lists policies --county 17031
  muster policy lists baseline.tar.gz --county 17031 --output json`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usage(cmd, fmt.Errorf("--output: %q is not known: use text or json", format))
			}
			h, err := hostOf(county, host)
			if err != nil {
				return usage(cmd, err)
			}
			b, h, err := listsOf(at, args, h)
			if err != nil {
				return err
			}
			now := time.Now()
			b = b.For(h, now)
			if over != "" {
				text, err := os.ReadFile(over)
				if err == nil {
					b, err = b.WithLists(text)
				}
				if err != nil {
					return &exitError{exitUsage, fmt.Errorf("--lists: %s: %w", over, err)}
				}
			}
			views := listViews(b, now)
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), views)
			}
			return printLists(cmd.OutOrStdout(), views)
		},
	}
	exitStatus(cmd, `
  0  the lists were shown, whatever their state
  1  FILE is no bundle, or it is damaged
  2  usage, or a file cannot be used`)
	f := cmd.Flags()
	f.StringVar(&county, "county", "", "show what hosts of this county use, by its five-digit `FIPS` code (default: that of the site file)")
	f.StringVar(&host, "host", "", "show what the host of this `ID` uses (default: this one, where the policy is its own)")
	f.StringVar(&over, "lists", "", "lay the lists in this `FILE` over all, as muster audit does")
	f.StringVar(&format, "output", "text", "form of the answer: text or json")
	at.register(f)
	complete(cmd, "output", "text", "json")
	return cmd
}

func hostOf(county, host string) (h muster.Host, err error) {
	if county != "" {
		if h.County, err = muster.ParseCounty(county); err != nil {
			return h, fmt.Errorf("--county: %w", err)
		}
	}
	if host != "" {
		if h.ID, err = muster.ParseHostID(host); err != nil {
			return h, fmt.Errorf("--host: %w", err)
		}
	}
	return h, nil
}

// listsOf opens the policy that was named, or the one of this host, whose own
// county and id stand in for those that were not named.
func listsOf(at place, args []string, h muster.Host) (*bundle.Bundle, muster.Host, error) {
	if len(args) > 0 {
		b, err := openForInspection(args)
		return b, h, err
	}
	site, err := at.open()
	if err != nil {
		return nil, h, &exitError{exitUsage, err}
	}
	own := at.host(site)
	h.County, h.ID = cmp.Or(h.County, own.County), cmp.Or(h.ID, own.ID)
	p, err := agent.OpenPolicy(agent.PolicyOptions{Site: site, StateDir: at.stateDir(site)})
	if err != nil {
		return nil, h, err
	}
	return p.Bundle, h, nil
}

// listView is one list as it stands at a moment.
type listView struct {
	Name string `json:"name"`
	// State is "fresh", "stale", "undated" or "missing".
	State   string `json:"state"`
	Dated   string `json:"dated,omitempty"` // day
	AgeDays *int   `json:"age_days"`        // null where it carries no date
	// MaxAgeDays after which it is stale; 0 means never.
	MaxAgeDays int    `json:"max_age_days"`
	Layer      string `json:"layer,omitempty"`
	Source     string `json:"source,omitempty"`
	// Controls that read it, by id.
	Controls []string `json:"controls"`
}

// listViews shows every list that is there or that a control asks for, by name.
func listViews(b *bundle.Bundle, now time.Time) []listView {
	const day = 24 * time.Hour
	views := []listView{}
	for _, name := range b.ListNames() {
		l, here := b.Lists[name]
		v := listView{Name: name, State: "fresh", MaxAgeDays: int(b.MaxAge(name) / day), Layer: l.Layer, Source: l.Source, Controls: []string{}}
		if !l.Dated.IsZero() {
			age := int(now.Sub(l.Dated) / day)
			v.Dated, v.AgeDays = l.Dated.Format(time.DateOnly), &age
		}
		switch {
		case !here:
			v.State = "missing"
		case l.Stale(now) && l.Dated.IsZero():
			v.State = "undated"
		case l.Stale(now):
			v.State = "stale"
		}
		for _, c := range b.Controls {
			if slices.Contains(c.Lists, name) {
				v.Controls = append(v.Controls, c.ID)
			}
		}
		views = append(views, v)
	}
	return views
}

// sentence tells which list counts, and how old it is.
func (v listView) sentence() string {
	if v.State == "missing" {
		return v.Name + ", missing: the state or the county has to give it"
	}
	s := v.Name + ", " + v.State
	if v.AgeDays != nil {
		s += fmt.Sprintf(": of %s, %s old", v.Dated, days(*v.AgeDays))
	}
	if v.MaxAgeDays > 0 {
		s += ", good for " + days(v.MaxAgeDays)
	}
	if v.Source == "" {
		return fmt.Sprintf("%s (%s)", s, v.Layer)
	}
	return fmt.Sprintf("%s (%s: %s)", s, v.Layer, v.Source)
}

func printLists(w io.Writer, views []listView) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "list\tstate\tdated\tage\tlimit\tlayer\tread by\tsource")
	for _, v := range views {
		age, limit := "-", "for ever"
		if v.AgeDays != nil {
			age = days(*v.AgeDays)
		}
		if v.MaxAgeDays > 0 {
			limit = days(v.MaxAgeDays)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", plain(v.Name), v.State, cmp.Or(v.Dated, "-"), age, limit,
			cmp.Or(v.Layer, "-"), plain(cmp.Or(strings.Join(v.Controls, " "), "nobody")), plain(cmp.Or(v.Source, "-")))
	}
	return tw.Flush()
}

func days(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

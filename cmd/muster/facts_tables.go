package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/builtin"
)

func newFactsTablesCommand() *cobra.Command {
	var from factsFrom
	var output string
	var all bool
	cmd := &cobra.Command{
		Use:   "tables [NAME]",
		Short: "List the tables that can be asked, or the columns of one",
		Long: `List the tables that can be asked here, who answers, and where the rows come from.
With a name it lists the columns of that table. "needs" names columns of which one must
be given in the WHERE clause.`,
		Example: `  muster facts tables
  muster facts tables file
  muster facts tables --all --output json`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			print, err := rowPrinter(cmd, output)
			if err != nil {
				return err
			}
			h, err := from.open(cmd.Context())
			if err != nil {
				return err
			}
			defer h.close()
			if len(args) == 1 {
				d, ok := h.Schema.Table(strings.ToLower(args[0]))
				if !ok {
					return agent.NewInputError(fmt.Errorf("table %s is not known", args[0]), "`muster facts tables --all` lists every table")
				}
				return print(cmd.OutOrStdout(), []string{"column", "type", "notes"}, columnRows(d))
			}
			return print(cmd.OutOrStdout(), []string{"table", "platforms", "engine", "source", "needs"}, tableRows(h, all))
		},
	}
	exitStatus(cmd, factsStatus)
	from.register(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "also what nobody here can answer, and what no policy may ask")
	cmd.Flags().StringVar(&output, "output", "table", "form of the list: table, line, csv or json")
	return cmd
}

func columnRows(d facts.Definition) []muster.Row {
	var rows []muster.Row
	for _, c := range d.Columns {
		var notes []string
		for note, is := range map[string]bool{"hidden": c.Hidden, "needed in WHERE": c.Required} {
			if is {
				notes = append(notes, note)
			}
		}
		slices.Sort(notes)
		rows = append(rows, muster.Row{"column": c.Name, "type": c.Type, "notes": strings.Join(notes, ", ")})
	}
	return rows
}

func tableRows(h *factsHost, all bool) []muster.Row {
	own := map[string]facts.Table{}
	for _, t := range builtin.Tables() {
		own[t.Name] = t
	}
	var rows []muster.Row
	for _, name := range h.Schema.Names() {
		d, _ := h.Schema.Table(name)
		engine, source := "", ""
		switch {
		case facts.Refused(name) != nil:
			source = facts.Refused(name).Error()
		case h.recording != nil:
			if _, ok := h.recording.Tables[name]; ok {
				engine, source = "recorded", h.recording.GivenBy
			} else {
				source = h.recording.Unavailable[name]
			}
		default:
			engine, source = engineOf(h, name, own[name])
		}
		if engine == "" && !all {
			continue
		}
		var platforms, needs []string
		for _, p := range d.Platforms {
			if p == muster.Linux || p == muster.Windows {
				platforms = append(platforms, string(p))
			}
		}
		for _, c := range d.Columns {
			if c.Required {
				needs = append(needs, c.Name)
			}
		}
		rows = append(rows, muster.Row{
			"table": name, "platforms": strings.Join(platforms, " "), "engine": engine,
			"source": source, "needs": strings.Join(needs, " or "),
		})
	}
	return rows
}

// engineOf names who is asked for a table on this computer.
func engineOf(h *factsHost, name string, own facts.Table) (engine, source string) {
	builtinHas := h.Builtin != nil && h.Builtin.Has(name)
	d, _ := h.Schema.Table(name)
	osqueryHas := h.Osquery != nil && h.Osquery.Has(name) && slices.Contains(d.Platforms, h.Platform)
	switch {
	case builtinHas && own.Preferred:
		return "builtin (preferred)", own.Source
	case builtinHas && osqueryHas:
		return "osquery, builtin", own.Source
	case builtinHas:
		return "builtin", own.Source
	case osqueryHas:
		return "osquery", "osqueryd"
	}
	return "", ""
}

package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/state"
)

func newReportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Look into the reports that wait for the state",
		Long: `Look into the reports that wait for the state. A report says what an audit found;
it is signed and stays here until the state has receipted it.`,
		Example: `  muster report show latest`,
	}
	cmd.AddCommand(newReportShowCommand())
	return cmd
}

func newReportShowCommand() *cobra.Command {
	var p place
	cmd := &cobra.Command{
		Use:   "show FILE|NUMBER|latest",
		Short: "Print a report as JSON",
		Long: `Print a report as JSON: a file of the outbox or a signed envelope, a waiting report by
its number, or the latest. The signature is not verified; the state does that.`,
		Example: `  muster report show latest
  muster report show 42`,
		Args: oneArg("a file, the number of a report, or latest"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := p.state
			if dir == "" {
				dir = state.DefaultDir()
			}
			report, err := agent.ReadReport(dir, args[0])
			if err != nil {
				return &exitError{exitUsage, err}
			}
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			e.SetEscapeHTML(false)
			return e.Encode(report)
		},
	}
	exitStatus(cmd, `
  0  the report was printed
  2  there is no such report, or it cannot be read`)
	p.register(cmd.Flags())
	return cmd
}

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/cmd/muster/internal/output"
	"github.com/passmuster/muster/policies"
)

func newExplainCommand() *cobra.Command {
	var p place
	var bundle string
	var unsigned, asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [ID...]",
		Short: "Tell what a control asks for, why, and how it is checked",
		Long: `Tell what a control asks for, why it matters, what to do, and the SQL by which the
computer is asked. Without an ID it lists every control of the policy.`,
		Example: `  muster explain
  muster explain MVS-ENC-01`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			site, err := p.open()
			if err != nil {
				return &exitError{exitUsage, err}
			}
			policy, err := agent.OpenPolicy(agent.PolicyOptions{
				Site: site, StateDir: p.stateDir(site), Path: bundle, Unsigned: unsigned,
			})
			if err != nil {
				return err
			}
			controls, err := choose(policy.Controls, ids)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			w := cmd.OutOrStdout()
			if asJSON {
				e := json.NewEncoder(w)
				e.SetIndent("", "  ")
				return e.Encode(controls)
			}
			v := output.View{Facts: policy.Facts}
			v.Width, v.Color = terminal(w)
			if len(ids) == 0 {
				return output.Catalogue(w, controls, v)
			}
			for i, c := range controls {
				if i > 0 {
					fmt.Fprintln(w)
				}
				if err := output.Explain(w, c, v); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.ValidArgsFunction = controlIDs
	exitStatus(cmd, `
  0  the controls were printed
  2  there is no such control, or the policy or the site file is not usable`)
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print the controls as JSON")
	flags.StringVar(&bundle, "bundle", "", "explain the policy in this file or folder, `PATH`")
	flags.BoolVar(&unsigned, "unsigned", false, "accept an unsigned policy from --bundle")
	p.register(flags)
	return cmd
}

// controlIDs offers the built-in controls to the shell, with their titles.
func controlIDs(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var ids []cobra.Completion
	for _, c := range policies.Catalogue() {
		ids = append(ids, cobra.CompletionWithDesc(c.ID, c.Title))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func choose(controls []muster.Control, ids []string) ([]muster.Control, error) {
	if len(ids) == 0 {
		return controls, nil
	}
	var list []muster.Control
	for _, id := range ids {
		i := slices.IndexFunc(controls, func(c muster.Control) bool { return strings.EqualFold(c.ID, id) })
		if i < 0 {
			return nil, agent.NewInputError(fmt.Errorf("control %q is not in the policy", id), "muster explain lists the controls")
		}
		list = append(list, controls[i])
	}
	return list, nil
}

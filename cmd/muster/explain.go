package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/cmd/muster/internal/output"
	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
)

func newExplainCommand() *cobra.Command {
	var p place
	var path, platform string
	var unsigned, asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [ID...]",
		Short: "Tell what a control asks for, why, and how it is checked",
		Long: `Tell what a control asks for, why it matters, what to do, which standards ask for the
same, how old the lists are that it reads, which waivers and attestations concern it,
and the SQL by which the computer is asked. Without an ID it lists every control of the
policy. The policy is the one that "muster audit" would use.`,
		Example: `  muster explain
  muster explain MVS-ENC-01
  muster explain MVS-ENC-01 --platform windows`,
		RunE: func(cmd *cobra.Command, ids []string) error {
			on := muster.Platform(platform)
			if on != muster.Windows && on != muster.Linux {
				return usage(cmd, fmt.Errorf("--platform: %q is not known: use windows or linux", platform))
			}
			site, err := p.open()
			if err != nil {
				return &exitError{exitUsage, err}
			}
			policy, err := agent.OpenPolicy(agent.PolicyOptions{
				Site: site, StateDir: p.stateDir(site), Path: path, Unsigned: unsigned,
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
			laid := policy.For(p.host(site), time.Now())
			for i, c := range controls {
				if i > 0 {
					fmt.Fprintln(w)
				}
				if err := output.Explain(w, explain(laid, c, on), v); err != nil {
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
	flags.StringVar(&path, "bundle", "", "explain the policy in this file or folder, `PATH`")
	flags.BoolVar(&unsigned, "unsigned", false, "accept an unsigned policy from --bundle")
	here := muster.Linux
	if runtime.GOOS == "windows" {
		here = muster.Windows
	}
	flags.StringVar(&platform, "platform", string(here), "tell how it is checked on windows or linux")
	complete(cmd, "platform", string(muster.Windows), string(muster.Linux))
	p.register(flags)
	return cmd
}

// explain gathers what the policy, as it judges this host, says of a control.
func explain(b *bundle.Bundle, c muster.Control, on muster.Platform) output.Explanation {
	e := output.Explanation{Control: c, Platform: on}
	for _, l := range listViews(b, time.Now()) {
		if slices.Contains(c.Lists, l.Name) {
			e.Lists = append(e.Lists, l.sentence())
		}
	}
	for _, w := range b.Waivers {
		if w.Control == c.ID {
			e.Waivers = append(e.Waivers, w)
		}
	}
	for _, a := range b.Attestations {
		if readsClaim(b, c, a.Claim) {
			e.Attestations = append(e.Attestations, a)
		}
	}
	return e
}

// readsClaim reports whether the control's Rego speaks of the claim.
func readsClaim(b *bundle.Bundle, c muster.Control, claim string) bool {
	for _, source := range b.Modules {
		if text := string(source); strings.Contains(text, "package "+c.Package+"\n") && strings.Contains(text, "data.lists.attestations."+claim+"_") {
			return true
		}
	}
	return false
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

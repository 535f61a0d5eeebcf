package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/collector"
)

// foundError is told already; the exit code is all that is left.
type foundError struct{ code int }

func (e *foundError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func newCheckCommand(o *options) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look whether the collector can work: configuration, database, keys, tailnet, disk, clock",
		Long: `Look whether the collector can work: its configuration, data folder, disk, keys,
database, clock, TLS certificate, OIDC provider and webhooks, and, where it runs on this
computer, its tailnet. Nothing is changed (only the schema of an older database is
brought up to date) and nothing is sent.

Exit codes: 0 all is well; 1 something is to be looked at; 2 something fails.`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := choice(cmd, "--output", output, "text", "json"); err != nil {
				return err
			}
			found := o.check(cmd)
			if output == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				if err := enc.Encode(struct {
					Findings []collector.Finding `json:"findings"`
				}{found}); err != nil {
					return err
				}
			} else {
				for _, f := range found {
					fmt.Fprintf(cmd.OutOrStdout(), "%-8s%s: %s\n", f.State, f.Subject, f.Detail)
					if f.Next != "" {
						fmt.Fprintf(cmd.OutOrStdout(), "%-8snext: %s\n", "", f.Next)
					}
				}
			}
			worst := 0
			for _, f := range found {
				worst = max(worst, slices.Index([]string{collector.CheckOK, collector.CheckWarning, collector.CheckFail}, f.State))
			}
			if worst == 0 {
				return nil
			}
			return &foundError{worst}
		},
	}
	f := cmd.Flags()
	f.StringVar(&output, "output", "text", "text or json")
	f.String("state", "", "two-digit FIPS code of the state, as serve has it")
	setting(f, "state", "state")
	f.String("listen", collector.DefaultListen, "address of the collector that runs here, as serve has it")
	setting(f, "listen", "listen")
	return cmd
}

// check says something of everything that is wrong with the configuration, and where
// nothing is, of the rest.
func (o *options) check(cmd *cobra.Command) (found []collector.Finding) {
	const subject = "configuration"
	l, err := o.load(cmd)
	var co collector.Options
	if err == nil {
		co, err = base(l, cmd.ErrOrStderr())
	}
	if err == nil {
		err = serving(&co, l)
	}
	if err == nil && l.State == "" {
		err = errors.New("state is not set, which serve needs")
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			found = append(found, collector.Finding{Subject: subject, State: collector.CheckFail, Detail: strings.TrimSpace(line),
				Next: "correct it; muster-collector config explains every setting"})
		}
		return found
	}
	from := "no file"
	if l.File != "" {
		from = l.File
	}
	return append([]collector.Finding{{Subject: subject, State: collector.CheckOK, Detail: from}}, collector.Check(cmd.Context(), co)...)
}

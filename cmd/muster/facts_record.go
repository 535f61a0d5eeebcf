package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent"
	"github.com/passmuster/muster/agent/facts/recorded"
)

func newFactsRecordCommand() *cobra.Command {
	var from factsFrom
	var at place
	var out, profile, policyPath string
	var unsigned bool
	var redact []string
	cmd := &cobra.Command{
		Use:   "record [TABLE...]",
		Short: "Record what the policy's facts read, to judge this host elsewhere",
		Long: `Record the rows that the policy's facts read, or the tables named, as one JSON file.
"muster audit --recording FILE" judges it on any computer.

The file describes the host: keep it as you keep the host. Arguments of commands and
serial numbers of the computer are left out; --redact leaves out more, by a regular
expression on a column.`,
		Example: `  sudo muster facts record --out host.json
  muster facts record --redact 'users.description=.+' --redact 'mac=..:..$' > host.json
  muster facts record users groups`,
		RunE: func(cmd *cobra.Command, tables []string) error {
			redactions := recorded.DefaultRedactions()
			for _, r := range redact {
				parsed, err := recorded.ParseRedaction(r)
				if err != nil {
					return usage(cmd, err)
				}
				redactions = append(redactions, parsed)
			}
			if out != "" {
				if err := checkOut(out); err != nil {
					return usage(cmd, fmt.Errorf("--out: %w", err))
				}
			}
			if profile != "" {
				if _, err := muster.ParseProfile(profile); err != nil {
					return usage(cmd, err)
				}
			}
			h, err := from.open(cmd.Context())
			if err != nil {
				return err
			}
			defer h.close()
			list, err := wholeTables(h, tables)
			if err == nil && len(tables) == 0 {
				list, err = policyFacts(at, policyPath, unsigned)
			}
			if err != nil {
				return err
			}
			head := recorded.Recording{RecordedAt: time.Now().UTC().Truncate(time.Second), Platform: h.Platform, Profile: muster.Profile(profile)}
			if r := h.recording; r != nil {
				head.Hostname, head.RecordedAt, head.Profile = r.Hostname, r.RecordedAt, cmp.Or(head.Profile, r.Profile)
			} else if head.Hostname, err = os.Hostname(); err != nil {
				return fmt.Errorf("read the host's name: %w", err)
			}
			r, err := recorded.Record(cmd.Context(), h, h.Schema, list, head, redactions)
			if err != nil {
				return err
			}
			return writeRecording(cmd, r, out)
		},
	}
	exitStatus(cmd, factsStatus)
	from.register(cmd)
	at.register(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVarP(&out, "out", "o", "", "write to `FILE` (default: standard output)")
	flags.StringVar(&profile, "profile", "", "profile of this host: workstation or ems")
	flags.StringVar(&policyPath, "policy", "", "record for this bundle or folder of sources (`PATH`)")
	flags.BoolVar(&unsigned, "unsigned", false, "accept the --policy without a signature")
	flags.StringArrayVar(&redact, "redact", nil, "leave out what matches, `[TABLE.]COLUMN=REGEXP` (may be repeated)")
	return cmd
}

func policyFacts(at place, path string, unsigned bool) ([]muster.Fact, error) {
	site, err := at.open()
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	p, err := agent.OpenPolicy(agent.PolicyOptions{Site: site, StateDir: at.stateDir(site), Path: path, Unsigned: unsigned})
	if err != nil {
		return nil, err
	}
	var list []muster.Fact
	for _, f := range p.Facts {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b muster.Fact) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// wholeTables are facts that read the tables named.
func wholeTables(h *factsHost, names []string) ([]muster.Fact, error) {
	var list []muster.Fact
	for _, name := range names {
		statement := "SELECT * FROM " + strings.ToLower(name)
		if _, err := h.Schema.Check(statement); err != nil {
			return nil, agent.NewInputError(err, "`muster facts tables` lists the tables")
		}
		list = append(list, muster.Fact{Name: name, SQL: map[muster.Platform]string{h.Platform: statement}})
	}
	return list, nil
}

func writeRecording(cmd *cobra.Command, r *recorded.Recording, out string) error {
	if out == "" {
		_, err := r.WriteTo(cmd.OutOrStdout())
		return err
	}
	write := func(w io.Writer) error {
		_, err := r.WriteTo(w)
		return err
	}
	if err := writeOut(out, 0o600, write); err != nil {
		return fmt.Errorf("write the recording: %w", err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "recorded %d tables of %s in %s; %d are not available\n", len(r.Tables), r.Hostname, out, len(r.Unavailable))
	return nil
}

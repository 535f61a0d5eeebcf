package main

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/policies/bundle"
)

func newPolicyNewCommand() *cobra.Command {
	var dir, title, area string
	cmd := &cobra.Command{
		Use:   "new ID",
		Short: "Start a new control with its fact and its tests",
		Long: `Write a control, its tests and its fact, by an id that the policy does not have yet.
They pass "muster policy lint" and "muster policy test" as they are, and ask for the
version of the system: edit all three. Nothing that exists is overwritten; the fact is
added at the end of the facts of its area.`,
		Example: `  muster policy new MVS-NET-11 --title "The printer is not on the internet" --area network
  muster policy new MVS-XYZ-01 --dir my-policies`,
		Args: oneArg("the id of the control, like MVS-NET-11"),
		RunE: func(cmd *cobra.Command, args []string) error {
			sources, err := folder(dir)
			if err != nil {
				return err
			}
			s := bundle.Scaffold{ID: args[0], Title: cmp.Or(title, "Say here what is true where "+args[0]+" passes"), Area: area}
			files, err := s.Files(sources)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			for _, name := range slices.Sorted(maps.Keys(files)) {
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := durable.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					return err
				}
				if err := durable.WriteFile(path, files[name], 0o644); err != nil {
					return fmt.Errorf("write %s: %w", path, err)
				}
				fmt.Fprintln(cmd.OutOrStdout(), path)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Edit them, then: muster policy lint %s && muster policy test %s\n", dir, dir)
			return nil
		},
	}
	exitStatus(cmd, `
  0  the files were written
  1  a file could not be written
  2  usage, the id is taken, or there is no such folder`)
	cmd.Flags().StringVar(&dir, "dir", "policies", "`FOLDER` with the sources of the policy")
	cmd.Flags().StringVar(&title, "title", "", "`SENTENCE` that is true when the control passes")
	cmd.Flags().StringVar(&area, "area", "", "folder in facts/ that gets the fact, such as network (default: after the id)")
	return cmd
}

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
	"github.com/passmuster/muster/agent/facts/builtin"
	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/policies/bundle"
)

func newPolicyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Write, check, sign and release what computers are judged by",
		Long: `Write, check, sign and release what computers are judged by. A policy is a folder of
sources: controls in Rego, the facts that they ask for in SQL, the lists that they read,
waivers. It is built into one file, the bundle, a plain OPA bundle. Hosts take a bundle
only with the signature of a key in their site file. docs/policy.md shows all of it, from
a first control to the rollback.`,
		Example: `  muster policy new MVS-NET-12 --area network
  muster policy lint policies && muster policy test policies
  muster audit --bundle policies --unsigned --only MVS-NET-12
  muster policy build policies -o unsigned.tar.gz --version 8
  muster policy inspect unsigned.tar.gz --against baseline-7.tar.gz
  muster policy sign unsigned.tar.gz --key policy-key.pem -o baseline-8.tar.gz
  muster policy publish baseline-8.tar.gz --collector https://collector.example --ring canary`,
	}
	for _, group := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Write:", []*cobra.Command{newPolicyNewCommand(), newPolicyFmtCommand(), newPolicyLintCommand(), newPolicyTestCommand()}},
		{"Release:", []*cobra.Command{newPolicyKeygenCommand(), newPolicyBuildCommand(), newPolicySignCommand(), newPolicyPublishCommand()}},
		{"Look into:", []*cobra.Command{newPolicyInspectCommand(), newPolicyListsCommand(), newPolicyVerifyCommand()}},
	} {
		cmd.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, c := range group.commands {
			c.GroupID = group.title
			cmd.AddCommand(c)
		}
	}
	return cmd
}

func newPolicyFmtCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "fmt DIR",
		Short:   "Format the Rego files of a folder as lint wants them",
		Long:    "Bring the Rego files of a folder into the form that lint accepts, and print the names of those that changed.",
		Example: `  muster policy fmt policies`,
		Args:    oneArg("the folder with the sources of the policy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := folder(args[0]); err != nil {
				return err
			}
			return filepath.WalkDir(args[0], func(name string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || filepath.Ext(name) != ".rego" {
					return err
				}
				source, err := os.ReadFile(name)
				if err != nil {
					return err
				}
				formatted, err := bundle.Format(name, source)
				if err != nil {
					return fmt.Errorf("format %s: %w", name, err)
				}
				if bytes.Equal(source, formatted) {
					return nil
				}
				fmt.Fprintln(cmd.OutOrStdout(), name)
				return durable.WriteFile(name, formatted, 0o644)
			})
		},
	}
	exitStatus(cmd, `
  0  all files have the form now
  1  a file is not Rego, or could not be read or written; those before it have the form
  2  usage, or there is no such folder`)
	return cmd
}

func newPolicyLintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint DIR",
		Short: "Find what must not become a bundle",
		Long: `Check the sources of a policy, and print nothing where all is well: format, strict
compilation, complete metadata, known facts and lists, SQL against the schema, waivers
and attestations that say who and until when, and for each control tests that show pass,
fail and unknown.`,
		Example: `  muster policy lint policies`,
		Args:    oneArg("the folder with the sources of the policy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			schema, err := facts.NewSchema(builtin.Tables())
			if err != nil {
				return err
			}
			defer schema.Close()
			dir, err := folder(args[0])
			if err != nil {
				return err
			}
			problems := bundle.Lint(dir, func(p muster.Platform, sql string) error { return checkSQL(schema, p, sql) })
			for _, p := range problems {
				fmt.Fprintf(cmd.OutOrStdout(), "%s\n", p)
			}
			if problems != nil {
				return fmt.Errorf("%s must not become a bundle: problems: %d", args[0], len(problems))
			}
			return nil
		},
	}
	exitStatus(cmd, `
  0  nothing is wrong
  1  something is wrong; each problem is one line with file and line number
  2  usage, or there is no such folder`)
	return cmd
}

func folder(name string) (fs.FS, error) {
	info, err := os.Stat(name)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder: name the one with the sources of the policy", name)
	}
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return os.DirFS(name), nil
}

// checkSQL holds a statement against the schema and its tables against the
// platform. The agent's own tables are known on the platform they are for.
func checkSQL(schema *facts.Schema, platform muster.Platform, sql string) error {
	if platform != muster.Platform(runtime.GOOS) && strings.Contains(sql, "muster_") {
		return nil
	}
	tables, err := schema.Check(sql)
	if err != nil {
		return err
	}
	for _, name := range tables {
		if t, ok := schema.Table(name); ok && !slices.Contains(t.Platforms, platform) {
			return fmt.Errorf("table %s does not exist on %s", name, platform)
		}
	}
	return nil
}

func newPolicyVerifyCommand() *cobra.Command {
	var keyFiles []string
	cmd := &cobra.Command{
		Use:   "verify FILE --key PUB",
		Short: "Check that a bundle is signed and unchanged",
		Long: `Check that a bundle is signed by one of the keys and unchanged since.
"muster policy inspect" shows what is in it.`,
		Example: `  muster policy verify baseline.tar.gz --key policy-key.pem.pub`,
		Args:    oneArg("the file of the bundle"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := readPublicKeys(keyFiles)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(args[0])
			if err != nil {
				return &exitError{exitUsage, err}
			}
			b, err := bundle.Open(data, bundle.OpenOptions{Keys: keys})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "good: revision %s, version %d, digest %s\n", b.Revision, b.Version, b.Digest)
			return nil
		},
	}
	exitStatus(cmd, `
  0  the bundle is good
  1  it is not: nobody signed it, somebody else did, or it was changed
  2  usage, or a file cannot be read`)
	cmd.Flags().StringArrayVar(&keyFiles, "key", nil, "`FILE` with a public key that may have signed; may be given several times")
	_ = cmd.MarkFlagRequired("key") // fails only for a flag that is not there
	return cmd
}

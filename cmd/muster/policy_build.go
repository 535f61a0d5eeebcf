package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster/internal/durable"
	"github.com/passmuster/muster/policies/bundle"
)

func newPolicyBuildCommand() *cobra.Command {
	var out, keyFile, revision, expires, minAgent string
	var version int64
	var secret passphrase
	cmd := &cobra.Command{
		Use:   "build DIR -o FILE --version N [--key FILE]",
		Short: "Pack the sources into a bundle, and sign it",
		Long: `Pack the sources in DIR into one bundle and, with --key, sign it. Without --key it is
not signed: "muster policy sign" does that, on another computer perhaps, after a look at
it with "muster policy inspect".

Hosts refuse a version lower than the one they have, so a release that takes something
back has a higher one, too. After --expires a host still judges by the bundle, and says
that it is stale.`,
		Example: `  muster policy build policies -o baseline.tar.gz --version 7 --key policy-key.pem
  muster policy build policies -o unsigned.tar.gz --version 7 --expires 2027-11-30`,
		Args: oneArg("the folder with the sources of the policy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts := bundle.BuildOptions{Version: version, Revision: revision, Created: time.Now().Truncate(time.Second), MinAgent: minAgent}
			if expires != "" {
				day, err := time.Parse(time.DateOnly, expires)
				if err != nil {
					return usage(cmd, fmt.Errorf("--expires %q is no date: write 2027-11-30", expires))
				}
				opts.Expires = day
			}
			dir, err := folder(args[0])
			if err != nil {
				return err
			}
			data, err := bundle.Build(dir, opts)
			if err != nil {
				return err
			}
			unsigned := ", not signed yet"
			if keyFile != "" {
				if data, _, err = signWithFile(data, keyFile, secret); err != nil {
					return err
				}
				unsigned = ""
			}
			if err := durable.WriteFile(out, data, 0o644); err != nil {
				return fmt.Errorf("write policy bundle: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: version %d, %d bytes%s\n", out, version, len(data), unsigned)
			return nil
		},
	}
	exitStatus(cmd, `
  0  the bundle was written
  1  the sources do not make a bundle, or it could not be written; nothing was
  2  usage, or the key or the folder is not usable`)
	f := cmd.Flags()
	f.StringVarP(&out, "out", "o", "", "`FILE` for the bundle")
	f.Int64Var(&version, "version", 0, "number of this release, higher than the last one")
	f.StringVar(&keyFile, "key", "", "`FILE` with the private key that signs (muster policy keygen makes one)")
	secret.register(f)
	f.StringVar(&revision, "revision", "", "name of this release for people (default the version)")
	f.StringVar(&expires, "expires", "", "day after which the bundle is stale, as 2027-11-30 (default never)")
	f.StringVar(&minAgent, "min-agent", "", "oldest version of muster that can run it (default any)")
	for _, name := range []string{"out", "version"} {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that is not there
	}
	return cmd
}

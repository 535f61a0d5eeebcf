package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

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
		Short: "Make, check, sign and look into policy bundles",
		Long: `Make, check, sign and look into policy bundles. A bundle is a plain OPA bundle:
controls in Rego, the facts they ask for in SQL, and the lists they read.`,
		Example: `  muster policy keygen -o policy-key.pem
  muster policy lint policies && muster policy test policies
  muster policy build policies -o baseline.tar.gz --version 7 --key policy-key.pem
  muster policy inspect baseline.tar.gz`,
	}
	cmd.AddCommand(
		newPolicyKeygenCommand(), newPolicyFmtCommand(), newPolicyLintCommand(), newPolicyTestCommand(),
		newPolicyBuildCommand(), newPolicyVerifyCommand(), newPolicyInspectCommand(),
	)
	return cmd
}

func newPolicyKeygenCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "keygen [-o FILE]",
		Short: "Make the key that signs policy bundles",
		Long: `Make the key that signs policy bundles (ECDSA P-256), and beside it FILE.pub, which
hosts trust. Keep the key on media that no network reaches: whoever has it decides
what every host is judged by. An existing file is never overwritten.`,
		Example: `  muster policy keygen -o policy-key.pem`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, path := range []string{out, out + ".pub"} {
				if _, err := os.Lstat(path); err == nil {
					return &exitError{exitUsage, fmt.Errorf("%s exists: choose another name, a lost key cannot be replaced", path)}
				}
			}
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				return fmt.Errorf("make policy key: %w", err)
			}
			private, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				return fmt.Errorf("make policy key: %w", err)
			}
			public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
			if err != nil {
				return fmt.Errorf("make policy key: %w", err)
			}
			if err := durable.WriteFile(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
				return fmt.Errorf("write policy key: %w", err)
			}
			if err := durable.WriteFile(out+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644); err != nil {
				return fmt.Errorf("write public policy key: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "key %s in %s, for hosts %s.pub\n", bundle.KeyID(public), out, out)
			return nil
		},
	}
	exitStatus(cmd, `
  0  both files were written
  1  they could not be made or written
  2  usage, or a file of the name exists`)
	cmd.Flags().StringVarP(&out, "out", "o", "policy-key.pem", "`FILE` for the private key")
	return cmd
}

func newPolicyFmtCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "fmt DIR",
		Short:   "Bring the Rego files of a folder into the form that lint accepts",
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
		Short: "Refuse what must not become a bundle",
		Long: `Check the sources of a bundle: format, strict compilation, complete metadata, known
facts and lists, SQL against the schema, and for each control tests that show pass,
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

func newPolicyTestCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:     "test DIR",
		Short:   "Run the tests of a policy",
		Long:    "Run every test rule in the *_test.rego files of a folder.",
		Example: `  muster policy test policies --verbose`,
		Args:    oneArg("the folder with the sources of the policy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := folder(args[0])
			if err != nil {
				return err
			}
			results, err := bundle.Test(cmd.Context(), dir)
			if err != nil {
				return err
			}
			w, failed := bufio.NewWriter(cmd.OutOrStdout()), 0 // the first error sticks
			for _, r := range results {
				if r.Passed && !verbose {
					continue
				}
				word := "pass"
				if !r.Passed {
					word = "FAIL"
					failed++
				}
				fmt.Fprintf(w, "%s  %s  %s\n", word, r.File, r.Name)
				if r.Err != nil {
					fmt.Fprintf(w, "      %v\n", r.Err)
				}
				if r.Output != "" {
					fmt.Fprintf(w, "      %s\n", strings.TrimSpace(r.Output))
				}
			}
			fmt.Fprintf(w, "%d tests, %d failed\n", len(results), failed)
			if err := w.Flush(); err != nil {
				return err
			}
			switch {
			case len(results) == 0:
				return fmt.Errorf("no tests in %s: name them test_… in files that end in _test.rego", args[0])
			case failed > 0:
				return &exitError{code: exitFail}
			}
			return nil
		},
	}
	exitStatus(cmd, `
  0  every test passes
  1  a test does not pass, or there is none
  2  usage, or there is no such folder`)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show the tests that pass as well")
	return cmd
}

func newPolicyBuildCommand() *cobra.Command {
	var out, keyFile, revision, expires, minAgent string
	var version int64
	cmd := &cobra.Command{
		Use:   "build DIR -o FILE --version N --key FILE",
		Short: "Pack and sign a bundle",
		Long: `Pack the sources in DIR into one bundle and sign it. Hosts refuse a version lower than
the one they have. After --expires a host still judges by the bundle, and says that
it is stale.`,
		Example: `  muster policy build policies -o baseline.tar.gz --version 7 --key policy-key.pem`,
		Args:    oneArg("the folder with the sources of the policy"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts := bundle.BuildOptions{Version: version, Revision: revision, Created: time.Now().Truncate(time.Second), MinAgent: minAgent}
			if expires != "" {
				day, err := time.Parse(time.DateOnly, expires)
				if err != nil {
					return usage(cmd, fmt.Errorf("--expires %q is no date: write 2027-11-30", expires))
				}
				opts.Expires = day
			}
			key, err := readSigningKey(keyFile)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			dir, err := folder(args[0])
			if err != nil {
				return err
			}
			data, err := bundle.Build(dir, opts)
			if err != nil {
				return err
			}
			if data, err = bundle.Sign(data, key); err != nil {
				return err
			}
			if err := durable.WriteFile(out, data, 0o644); err != nil {
				return fmt.Errorf("write policy bundle: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: version %d, %d bytes\n", out, version, len(data))
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
	f.StringVar(&revision, "revision", "", "name of this release for people (default the version)")
	f.StringVar(&expires, "expires", "", "day after which the bundle is stale, as 2027-11-30 (default never)")
	f.StringVar(&minAgent, "min-agent", "", "oldest version of muster that can run it (default any)")
	for _, name := range []string{"out", "version", "key"} {
		_ = cmd.MarkFlagRequired(name) // fails only for a flag that is not there
	}
	return cmd
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
			var keys [][]byte
			for _, name := range keyFiles {
				der, err := readPublicKey(name)
				if err != nil {
					return &exitError{exitUsage, err}
				}
				keys = append(keys, der)
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

func newPolicyInspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect [FILE]",
		Short: "Show what is in a bundle, without trusting it",
		Long: `Show what is in a bundle or in a folder of sources: revision, digest, controls, and
lists with their dates. The signature is not checked. Without FILE it shows the
baseline that muster was built with.`,
		Example: `  muster policy inspect
  muster policy inspect baseline.tar.gz`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := openForInspection(args)
			if err != nil {
				return err
			}
			return inspect(cmd.OutOrStdout(), b, time.Now())
		},
	}
	exitStatus(cmd, `
  0  the bundle was shown
  1  it is no bundle, or it is damaged
  2  usage, or there is no such file`)
	return cmd
}

func openForInspection(args []string) (*bundle.Bundle, error) {
	if len(args) == 0 {
		return bundle.Embedded()
	}
	info, err := os.Stat(args[0])
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	if info.IsDir() {
		return bundle.OpenDir(os.DirFS(args[0]))
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return bundle.Open(data, bundle.OpenOptions{Unsigned: true})
}

func readSigningKey(name string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(name, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("read policy key %s: %w", name, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("read policy key %s: it is no ECDSA P-256 key: make one with muster policy keygen", name)
	}
	return key, nil
}

func readPublicKey(name string) ([]byte, error) {
	der, err := readPEM(name, "PUBLIC KEY")
	if err != nil {
		return nil, err
	}
	if _, err := x509.ParsePKIXPublicKey(der); err != nil {
		return nil, fmt.Errorf("read public key %s: %w", name, err)
	}
	return der, nil
}

func readPEM(name, kind string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, fmt.Errorf("read key %s: %w", name, errors.New("it is no PEM file"))
	case block.Type != kind:
		return nil, fmt.Errorf("read key %s: it holds a %s, want a %s", name, block.Type, kind)
	}
	return block.Bytes, nil
}

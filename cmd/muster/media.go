package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/internal/fips"
	"github.com/passmuster/muster/internal/wire"
	"github.com/passmuster/muster/policies/bundle"
)

func newMediaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "media",
		Short: "Make verified media: a stick that audits computers off the network",
	}
	cmd.AddCommand(newMediaMakeCommand())
	return cmd
}

// mediaFlags are what goes onto a stick, and who vouches for it.
type mediaFlags struct {
	key, site, bundle, by string
	programs, licences    []string
	secret                passphrase
}

func newMediaMakeCommand() *cobra.Command {
	var f mediaFlags
	cmd := &cobra.Command{
		Use:   "make PATH --key KEY --site FILE [--bundle FILE] [--program FILE]…",
		Short: "Put muster, policy and site file onto a stick, and sign a list of them",
		Long: `Put muster, the policy and the site file onto the stick at PATH, in its folder MUSTER,
with instructions to print and a signed list of sizes and SHA-256. This is for the
state. "muster verify-media" tells on any computer that has the public key whether the
stick is still as it was made.

Take new sticks, formatted with FAT32 or exFAT. On a stick that is in use, what counties
keep there (hosts, outgoing, incoming, custody) stays.`,
		Example: `  muster media make E:\ --key policy-key.pem --site site-17031.json --bundle baseline.tar.gz \
    --program muster.exe --program muster`,
		Args: oneArg("the drive or folder of the stick"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	exitStatus(cmd, `
  0  the stick was made, and read again
  1  it could not be made; do not use it
  2  usage, or a key, the site file, the policy, a program or a licence is not usable`)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.key, "key", "", "`FILE` with the private key that signs, such as that of the policy")
	flags.StringVar(&f.site, "site", "", "site `FILE` of the county")
	flags.StringVar(&f.bundle, "bundle", "", "signed policy `FILE` (default: the stick has the one that ships with muster)")
	flags.StringArrayVar(&f.programs, "program", nil, "`FILE` of a muster release; repeat it for each operating system (default: this program)")
	flags.StringArrayVar(&f.licences, "licence", nil, "`FILE` with terms of the programs, for the folder licences of the stick; repeat it")
	flags.StringVar(&f.by, "by", "", "`NAME` of who made it (default: the name in the site file)")
	f.secret.register(flags)
	_ = cmd.MarkFlagRequired("key") // these fail only for a flag that is not there
	_ = cmd.MarkFlagRequired("site")
	return cmd
}

func (f *mediaFlags) run(cmd *cobra.Command, path string) error {
	m, contents, site, err := f.contents()
	if err != nil {
		return &exitError{exitUsage, err}
	}
	key, err := readSigningKey(f.key, f.secret)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	public, err := wire.MarshalPublicKey(key.Public())
	if err != nil {
		return err
	}
	county, state := fips.County(site.County)
	contents = append(contents, media.Instructions(*m, contents, county+", "+state, bundle.KeyID(public)))
	stick, err := media.Make(path)
	if err != nil {
		return err
	}
	if _, err := stick.Write(*m, contents, key); err != nil {
		return err
	}
	report, err := stick.Verify([][]byte{public})
	if err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		writeProblems(cmd.ErrOrStderr(), report)
		return errors.New("the stick is not as it was written: take a new one, empty")
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %d files, signed by key %s\n", stick.Root(), report.Good, bundle.KeyID(public))
	if !slices.ContainsFunc(site.PolicyKeys, func(k []byte) bool { return string(k) == string(public) }) {
		fmt.Fprintf(cmd.ErrOrStderr(), "muster: warning: the site file does not trust this key: verify-media needs --key\n")
	}
	return nil
}

// contents reads and checks what goes onto the stick.
func (f *mediaFlags) contents() (*media.Manifest, []media.Content, *muster.Site, error) {
	fail := func(err error) (*media.Manifest, []media.Content, *muster.Site, error) { return nil, nil, nil, err }
	site, err := (&place{site: f.site}).open()
	if err != nil {
		return fail(err)
	}
	text, err := os.ReadFile(f.site)
	if err != nil {
		return fail(fmt.Errorf("read the site file: %w", err))
	}
	m := &media.Manifest{MadeAt: time.Now(), MadeBy: cmp.Or(f.by, site.Name), Version: muster.Version}
	contents := []media.Content{{Path: "site.json", Data: text, Perm: 0o644}}
	if f.bundle != "" {
		data, err := os.ReadFile(f.bundle)
		if err != nil {
			return fail(fmt.Errorf("read the policy: %w", err))
		}
		b, err := bundle.Open(data, bundle.OpenOptions{Keys: site.PolicyKeys})
		if err != nil {
			return fail(fmt.Errorf("%s: %w", f.bundle, err))
		}
		m.Policy, m.PolicyVersion = b.Revision, b.Version
		contents = append(contents, media.Content{Path: "policy/policy.tar.gz", Data: data, Perm: 0o644})
	}
	programs := f.programs
	if len(programs) == 0 {
		self, err := os.Executable()
		if err != nil {
			return fail(fmt.Errorf("find this program: %w", err))
		}
		programs = []string{self}
	}
	put := func(dir, name string, perm os.FileMode) error {
		data, err := os.ReadFile(name)
		if err == nil {
			contents = append(contents, media.Content{Path: dir + filepath.Base(name), Data: data, Perm: perm})
		}
		return err
	}
	for _, name := range programs {
		if err := put("bin/", name, 0o755); err != nil {
			return fail(fmt.Errorf("read the program: %w", err))
		}
	}
	for _, name := range f.licences {
		if err := put("licences/", name, 0o644); err != nil {
			return fail(fmt.Errorf("read the licence: %w", err))
		}
	}
	return m, contents, site, nil
}

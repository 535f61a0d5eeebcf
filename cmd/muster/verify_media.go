package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/media"
	"github.com/passmuster/muster/policies/bundle"
)

func newVerifyMediaCommand() *cobra.Command {
	var site, form string
	var keys []string
	cmd := &cobra.Command{
		Use:   "verify-media PATH",
		Short: "Check a stick against the list that the state signed, before it is used",
		Long: `Check the stick at PATH against the list that the state signed ("muster media make"):
every file that is missing, changed, or that nobody signed, above all programs and
autorun.inf. What counties keep on the stick may be there, and no program among it.

This counts only on a computer that you trust, with a muster that is installed there and
with keys from there: never start the muster of the stick to verify the stick. It looks
at files. A stick whose electronics lie, or that types like a keyboard, it cannot see:
buy sticks yourself, and keep them locked away.

The keys are those of --key, else the policy keys of --site.`,
		Example: `  muster verify-media E:\
  muster verify-media /media/stick --key policy-key.pem.pub`,
		Args: oneArg("the drive or folder of the stick"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if form != "text" && form != "json" {
				return usage(cmd, fmt.Errorf("--output: %q is not text or json", form))
			}
			stick, err := media.Open(args[0])
			if err != nil {
				return &exitError{exitUsage, err}
			}
			trusted, err := mediaKeys(stick, site, keys)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			report, err := stick.Verify(trusted)
			if err != nil {
				return &exitError{exitUsage, err}
			}
			if err := writeMedia(cmd.OutOrStdout(), form, stick, report); err != nil {
				return err
			}
			if len(report.Problems) > 0 {
				return &exitError{code: exitFail}
			}
			return nil
		},
	}
	exitStatus(cmd, `
  0  everything is as the state signed it
  1  something is not, or nobody signed it: do not use the stick
  2  usage: there is no stick, no key, or the stick should vouch for itself`)
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&keys, "key", nil, "trust the public key in this `FILE` (may be repeated)")
	flags.StringVar(&site, "site", "", "trust the policy keys of this site `FILE` (default "+defaultSite()+")")
	flags.StringVar(&form, "output", "text", "form of the answer: text or json")
	complete(cmd, "output", "text", "json")
	return cmd
}

// mediaKeys are the trusted public keys. Neither they nor this program may come
// from the stick.
func mediaKeys(stick *media.Stick, site string, files []string) ([][]byte, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	sources := append([]string{self}, files...)
	if site != "" {
		sources = append(sources, site)
	}
	for _, name := range sources {
		if within(name, stick.Root()) {
			return nil, fmt.Errorf("%s is on the stick, and a stick cannot vouch for itself: use a muster and keys of a computer that you trust", name)
		}
	}
	if len(files) > 0 {
		return readPublicKeys(files)
	}
	s, err := (&place{site: site}).open()
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, errors.New("there is no key to verify with: give --site or --key, from a computer that you trust")
	}
	return s.PolicyKeys, nil
}

// mediaAnswer is the JSON form of verify-media.
type mediaAnswer struct {
	Schema   int    `json:"schema"` // 1
	Stick    string `json:"stick"`
	AsSigned bool   `json:"as_signed"`
	SignedBy string `json:"signed_by,omitempty"`
	*media.Report
}

func writeMedia(w io.Writer, form string, stick *media.Stick, r *media.Report) error {
	signer := ""
	if r.Signer != nil {
		signer = bundle.KeyID(r.Signer)
	}
	if form == "json" {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(mediaAnswer{1, stick.Root(), len(r.Problems) == 0, signer, r})
	}
	var err error
	line := func(format string, args ...any) {
		if _, e := fmt.Fprintf(w, format+"\n", args...); err == nil {
			err = e
		}
	}
	if m := r.Manifest; m != nil {
		line("Made by %s on %s, with muster %s, signed by key %s.", plain(m.MadeBy), day(m.MadeAt), plain(m.Version), signer)
		if m.PolicyVersion > 0 {
			line("Policy %s, version %d.", plain(m.Policy), m.PolicyVersion)
		}
		if m.Version != muster.Version {
			line("This computer has muster %s.", muster.Version)
		}
	}
	for _, n := range r.Notes {
		line("Note: %s", plain(n))
	}
	if len(r.Problems) == 0 {
		line("All %d files of %s are as they were signed, and nothing else is there.", r.Good, stick.Root())
		return err
	}
	writeProblems(w, r)
	line("Do not use this stick, and start nothing from it. Put it aside, and ask your state for another one.")
	return err
}

func writeProblems(w io.Writer, r *media.Report) {
	for _, p := range r.Problems {
		fmt.Fprintf(w, "%-10s %s: %s\n", p.Kind, plain(p.Path), plain(p.Text))
	}
}

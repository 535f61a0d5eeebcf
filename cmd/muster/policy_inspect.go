package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/policies"
	"github.com/passmuster/muster/policies/bundle"
	"github.com/passmuster/muster/policies/changes"
)

func newPolicyInspectCommand() *cobra.Command {
	var against, format string
	cmd := &cobra.Command{
		Use:   "inspect [FILE]",
		Short: "Show what is in a bundle, or what it changes, without trusting it",
		Long: `Show what is in a bundle or in a folder of sources: revision, digest, controls, and
lists with their dates. With --against it shows what changed since an older bundle:
controls, SQL, lists, waivers and attestations. The signature is not checked. Without
FILE it shows the baseline that muster was built with.`,
		Example: `  muster policy inspect
  muster policy inspect baseline.tar.gz
  muster policy inspect new.tar.gz --against baseline.tar.gz`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usage(cmd, fmt.Errorf("--output: %q is not known: use text or json", format))
			}
			if against != "" {
				return inspectChanges(cmd.OutOrStdout(), format, args, against)
			}
			b, err := openForInspection(args)
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), newBundleView(b, time.Now()))
			}
			return inspect(cmd.OutOrStdout(), b, time.Now())
		},
	}
	exitStatus(cmd, `
  0  the bundle, or what it changes, was shown; nothing changed is also 0
  1  it is no bundle, or it is damaged
  2  usage, or there is no such file`)
	cmd.Flags().StringVar(&against, "against", "", "show what changed since this older bundle or folder, `OLDER`")
	cmd.Flags().StringVar(&format, "output", "text", "form of the answer: text or json")
	complete(cmd, "output", "text", "json")
	return cmd
}

func inspectChanges(w io.Writer, format string, args []string, against string) error {
	old, err := bundleFiles([]string{against})
	if err != nil {
		return fmt.Errorf("%s: %w", against, err)
	}
	files, err := bundleFiles(args)
	if err != nil {
		return err
	}
	list, err := changes.Between(old, files)
	if err != nil {
		return err
	}
	if format == "json" {
		return writeJSON(w, append([]changes.Change{}, list...))
	}
	bw := bufio.NewWriter(w) // the first error sticks
	for _, c := range list {
		fmt.Fprintln(bw, c)
	}
	if list == nil {
		fmt.Fprintln(bw, "Nothing changed: both judge alike.")
	}
	return bw.Flush()
}

// bundleFiles are the plain files of a bundle, of a folder, or of the built-in baseline.
func bundleFiles(args []string) (map[string][]byte, error) {
	if len(args) == 0 {
		return bundle.Files(policies.FS())
	}
	info, err := os.Stat(args[0])
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	if info.IsDir() {
		return bundle.Files(os.DirFS(args[0]))
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return policies.Unpack(data)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// bundleView is a bundle as JSON.
type bundleView struct {
	Revision     string               `json:"revision"`
	Version      int64                `json:"version"`
	Digest       string               `json:"digest"`
	Created      time.Time            `json:"created,omitzero"`
	Expires      time.Time            `json:"expires,omitzero"`
	Stale        bool                 `json:"stale"`
	MinAgent     string               `json:"min_agent,omitempty"`
	Controls     []muster.Control     `json:"controls"`
	Facts        []muster.Fact        `json:"facts"`
	Lists        []listView           `json:"lists"`
	Waivers      []muster.Waiver      `json:"waivers"`
	Attestations []muster.Attestation `json:"attestations"`
}

func newBundleView(b *bundle.Bundle, now time.Time) bundleView {
	v := bundleView{
		b.Revision, b.Version, b.Digest, b.Created, b.Expires, b.Stale(now), b.MinAgent,
		append([]muster.Control{}, b.Controls...), []muster.Fact{}, listViews(b, now),
		append([]muster.Waiver{}, b.Waivers...), append([]muster.Attestation{}, b.Attestations...),
	}
	for _, name := range slices.Sorted(maps.Keys(b.Facts)) {
		v.Facts = append(v.Facts, b.Facts[name])
	}
	return v
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

// inspect prints a bundle for people.
func inspect(w io.Writer, b *bundle.Bundle, now time.Time) error {
	day := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return t.Format(time.DateOnly)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "revision\t%s\nversion\t%d\ndigest\t%s\ncreated\t%s\nexpires\t%s",
		plain(cmp.Or(b.Revision, "-")), b.Version, b.Digest, day(b.Created), day(b.Expires))
	if b.Stale(now) {
		fmt.Fprint(tw, " (stale)")
	}
	fmt.Fprintf(tw, "\nmin agent\t%s\nfacts\t%d\nwaivers\t%d\nattestations\t%d\n", plain(cmp.Or(b.MinAgent, "any")), len(b.Facts), len(b.Waivers), len(b.Attestations))

	fmt.Fprintf(tw, "\ncontrols\t%d\n", len(b.Controls))
	for _, c := range b.Controls {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", plain(c.ID), c.Severity, plain(c.Title))
	}
	fmt.Fprintf(tw, "\nlists\t%d\n", len(b.Lists))
	for _, name := range slices.Sorted(maps.Keys(b.Lists)) {
		l := b.Lists[name]
		until := "for ever"
		if l.MaxAge > 0 {
			until = "until " + day(l.Dated.Add(l.MaxAge))
		}
		if l.Stale(now) {
			until += " (stale)"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", plain(name), day(l.Dated), until)
	}
	return tw.Flush()
}

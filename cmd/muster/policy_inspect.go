package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/passmuster/muster/policies/bundle"
)

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
		cmp.Or(b.Revision, "-"), b.Version, b.Digest, day(b.Created), day(b.Expires))
	if b.Stale(now) {
		fmt.Fprint(tw, " (stale)")
	}
	fmt.Fprintf(tw, "\nmin agent\t%s\nfacts\t%d\nwaivers\t%d\n", cmp.Or(b.MinAgent, "any"), len(b.Facts), len(b.Waivers))

	fmt.Fprintf(tw, "\ncontrols\t%d\n", len(b.Controls))
	for _, c := range b.Controls {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", c.ID, c.Severity, c.Title)
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
		fmt.Fprintf(tw, "%s\t%s\t%s\n", name, day(l.Dated), until)
	}
	return tw.Flush()
}

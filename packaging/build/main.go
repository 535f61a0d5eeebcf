// Command build makes what a county and a state install: packages for Windows,
// Debian and Red Hat, an image for containers, and what vouches for them. The same
// sources give the same bytes, wherever and whenever it runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// makers make the artefacts, by the name that the command line has for them. Each
// gives the paths of what it made, to be vouched for.
var makers = []struct {
	name  string
	make  func(*release, context.Context) ([]string, error)
	asked bool // not made unless it is asked for
}{
	{"linux", (*release).linux, false},
	{"windows", (*release).windows, false},
	{"image", (*release).image, false},
	{"media", (*release).media, true},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "build: error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var names []string
	for _, m := range makers {
		names = append(names, m.name)
	}
	f := flag.NewFlagSet("build", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "usage: build [flags] [%s]…\n\nMakes the packages of this checkout; without a name, all of them but media.\n\n", strings.Join(names, "|"))
		f.PrintDefaults()
	}
	var version, root, out string
	var stick stick
	var final bool
	f.StringVar(&root, "root", "../..", "`FOLDER` of the sources")
	f.StringVar(&out, "o", "../../dist", "`FOLDER` for what is made")
	f.StringVar(&version, "version", "", "version, such as 1.2.3 (default: from the newest tag in git)")
	f.BoolVar(&final, "release", false, "make a release: all of it, from a tag, with every key (UNSIGNED=1: without)")
	f.StringVar(&stick.key, "key", "", "`FILE` with the key that signs media")
	f.StringVar(&stick.site, "site", "", "site `FILE` of the county that the media are for")
	f.StringVar(&stick.bundle, "bundle", "", "signed policy `FILE` for the media (default: the one in muster)")
	if err := f.Parse(args); err != nil {
		return err
	}
	wanted := f.Args()
	if final && (len(wanted) > 0 || version != "") {
		return errors.New("a release is all there is, in the version that the tag says: leave names and -version out")
	}
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			return fmt.Errorf("%q is not known: it makes %s", w, strings.Join(names, ", "))
		}
	}
	r, err := newRelease(ctx, root, out, version)
	if err != nil {
		return err
	}
	r.stick = stick
	if final {
		if err := r.ready(ctx); err != nil {
			return err
		}
	}
	var made []string
	for _, m := range makers {
		if len(wanted) > 0 && !slices.Contains(wanted, m.name) || len(wanted) == 0 && m.asked {
			continue
		}
		start := time.Now()
		fmt.Fprintf(os.Stderr, "build: %s, %s…\n", m.name, r.version)
		paths, err := m.make(r, ctx)
		if err != nil {
			return fmt.Errorf("make %s: %w", m.name, err)
		}
		for _, p := range paths {
			info, err := os.Stat(p)
			if err != nil {
				return err
			}
			fmt.Printf("%-48s %6.1f MB\n", filepath.Base(p), float64(info.Size())/1e6)
		}
		fmt.Fprintf(os.Stderr, "build: %s done in %.1f s\n", m.name, time.Since(start).Seconds())
		made = append(made, paths...)
	}
	if len(made) > 0 {
		if err := r.vouch(ctx, made); err != nil {
			return err
		}
	}
	if final {
		fmt.Print(r.remaining())
	}
	return nil
}

// Command shots photographs the dashboard with a local Chromium, at four widths, light
// and dark. Without a URL it shows an invented state, which is the same on every day; a
// collector's login link is followed first. It can say which pictures differ from those
// of an earlier folder, or instead of all that how soon pages are seen.
//
//	go run ./collector/web/internal/shots -out DIR [-compare EARLIER] [LINK]
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/browser"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/policies"
)

// options are the command line.
type options struct {
	out, pages, widths, earlier string
	share                       float64
	paint                       int
}

func main() {
	var o options
	flag.StringVar(&o.out, "out", "shots", "folder for the pictures")
	flag.StringVar(&o.pages, "pages", "", "comma-separated paths; default: one of each kind")
	flag.StringVar(&o.widths, "widths", "320,375,1440,2560", "comma-separated widths in CSS pixels")
	flag.StringVar(&o.earlier, "compare", "", "folder of earlier pictures: say which differ, and fail if any does")
	flag.Float64Var(&o.share, "share", 0.001, "of its pixels that may differ in a picture, with -compare")
	flag.IntVar(&o.paint, "paint", 0, "instead of pictures, how soon each page is seen, of so many times")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "shots: error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, base string) error {
	if base == "" {
		var stop func()
		var err error
		if base, stop, err = serve(&o); err != nil {
			return err
		}
		defer stop()
	}
	link, err := url.Parse(base)
	if err != nil {
		return err
	}
	base = link.Scheme + "://" + link.Host
	if o.pages == "" {
		o.pages = "/"
	}
	profile, err := os.MkdirTemp("", "shots")
	if err != nil {
		return fmt.Errorf("make browser profile: %w", err)
	}
	defer os.RemoveAll(profile)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	ctx, stop, err := browser.Start(ctx, profile)
	if err != nil {
		return err
	}
	defer stop()
	if err := chromedp.Do(ctx, chromedp.Navigate(link.String())); err != nil {
		return fmt.Errorf("open %s: %w", base, err)
	}
	if o.paint > 0 {
		return paint(ctx, os.Stdout, base, o)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return fmt.Errorf("make folder for pictures: %w", err)
	}
	for path := range strings.SplitSeq(o.pages, ",") {
		for width := range strings.SplitSeq(o.widths, ",") {
			for _, scheme := range []string{"light", "dark"} {
				if err := shoot(ctx, base+path, width, scheme, filepath.Join(o.out, name(path)+"-"+width+"-"+scheme+".png")); err != nil {
					return fmt.Errorf("photograph %s: %w", path, err)
				}
			}
		}
	}
	if o.earlier == "" {
		return nil
	}
	return compare(os.Stdout, o.earlier, o.out, o.share)
}

func name(path string) string {
	if path = strings.ReplaceAll(strings.Trim(path, "/"), "/", "-"); path == "" {
		return "overview"
	}
	return path
}

// shoot takes one picture and says where the page is wider than its window.
func shoot(ctx context.Context, page, width, scheme, file string) error {
	var w int64
	if _, err := fmt.Sscan(width, &w); err != nil {
		return fmt.Errorf("width %q is not a number: %w", width, err)
	}
	if err := chromedp.Do(ctx, browser.Screen(w, scheme), chromedp.Navigate(page)); err != nil {
		return err
	}
	over, err := chromedp.Run(ctx, browser.Over())
	if err != nil {
		return err
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return err
	}
	if over > 0 {
		fmt.Printf("%s: %d pixels wider than %s\n", page, over, width)
	}
	return os.WriteFile(file, png, 0o644)
}

// serve shows the invented state on loopback, at an instant that stands still, and picks
// a page of each kind, or of the four that people are at most, where none is asked for.
func serve(o *options) (base string, stop func(), err error) {
	now := time.Date(2026, 11, 3, 15, 4, 0, 0, time.UTC)
	book := storybook.Example(now)
	real := policies.Catalogue()
	for i, c := range book.Catalogue {
		if at := slices.IndexFunc(real, func(r muster.Control) bool { return r.ID == c.ID }); at >= 0 {
			book.Catalogue[i].Facts, book.Catalogue[i].Also, book.Catalogue[i].Lists = real[at].Facts, real[at].Also, real[at].Lists
		}
	}
	h, err := web.New(web.Options{Reader: book, Catalogue: book.Catalogue, Facts: policies.EmbeddedFacts(), Waivers: book.Waivers, Attestations: book.Attestations, Claims: book.Claims, Held: book.Held, Diff: book.Diff, Name: "State of Wyoming", Now: func() time.Time { return now }})
	if err != nil {
		return "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	go server.Serve(l) //nolint:errcheck // it ends with stop
	if o.pages == "" {
		pages := append(book.Paths(web.Patterns()), "/nothing")
		if o.paint > 0 {
			pages = book.Paths([]string{"GET /{$}", "GET /counties/{county}", "GET /hosts/{host}", "GET /controls/{control}"})
		}
		o.pages = strings.Join(pages, ",")
	}
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}

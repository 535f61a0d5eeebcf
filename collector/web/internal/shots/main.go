// Command shots photographs the dashboard with a local Chromium, at four
// widths, light and dark. Without a URL it shows an invented state; a
// collector's login link is followed first.
//
//	go run ./collector/web/internal/shots -out DIR [LINK]
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

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/policies"
)

func main() {
	out := flag.String("out", "shots", "folder for the pictures")
	pages := flag.String("pages", "", "comma-separated paths; default: one of each kind")
	widths := flag.String("widths", "320,375,1440,2560", "comma-separated widths in CSS pixels")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *pages, *widths, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "shots: error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, out, pages, widths, base string) error {
	if base == "" {
		var stop func()
		var err error
		if base, pages, stop, err = serve(pages); err != nil {
			return err
		}
		defer stop()
	}
	link, err := url.Parse(base)
	if err != nil {
		return err
	}
	base = link.Scheme + "://" + link.Host
	if pages == "" {
		pages = "/"
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("make folder for pictures: %w", err)
	}
	profile, err := os.MkdirTemp("", "shots")
	if err != nil {
		return fmt.Errorf("make browser profile: %w", err)
	}
	defer os.RemoveAll(profile)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(link.String())); err != nil {
		return fmt.Errorf("open %s: %w", base, err)
	}
	for path := range strings.SplitSeq(pages, ",") {
		for width := range strings.SplitSeq(widths, ",") {
			for _, scheme := range []string{"light", "dark"} {
				if err := shoot(ctx, base+path, width, scheme, filepath.Join(out, name(path)+"-"+width+"-"+scheme+".png")); err != nil {
					return fmt.Errorf("photograph %s: %w", path, err)
				}
			}
		}
	}
	return nil
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
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(w, 900), media(scheme), chromedp.Navigate(page)); err != nil {
		return err
	}
	over, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
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

// media sets what the browser says of its owner's taste.
func media(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}

// serve shows the invented state on loopback, and picks a page of each kind.
func serve(pages string) (base, picked string, stop func(), err error) {
	now := time.Now().UTC()
	book := storybook.Example(now)
	real := policies.Catalogue()
	for i, c := range book.Catalogue {
		if at := slices.IndexFunc(real, func(r muster.Control) bool { return r.ID == c.ID }); at >= 0 {
			book.Catalogue[i].Facts, book.Catalogue[i].Also, book.Catalogue[i].Lists = real[at].Facts, real[at].Also, real[at].Lists
		}
	}
	h, err := web.New(web.Options{Reader: book, Catalogue: book.Catalogue, Facts: policies.EmbeddedFacts(), Waivers: book.Waivers, Name: "State of Wyoming", Now: func() time.Time { return now }})
	if err != nil {
		return "", "", nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	go server.Serve(l) //nolint:errcheck // it ends with stop
	if pages == "" {
		worst := book.Fleet[0]
		for _, host := range book.Fleet {
			if host.Summary.Fail+host.Summary.Unknown > worst.Summary.Fail+worst.Summary.Unknown {
				worst = host
			}
		}
		pages = strings.Join([]string{"/", "/counties/" + string(worst.County), "/hosts/" + string(worst.ID), "/controls/MVS-BAK-01", "/nothing"}, ",")
	}
	return "http://" + l.Addr().String(), pages, func() { _ = server.Close() }, nil
}

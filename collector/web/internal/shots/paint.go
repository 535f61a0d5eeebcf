package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/passmuster/muster/collector/web/internal/browser"
	"github.com/passmuster/muster/internal/figure"
)

// soon is when the first picture of a page is wanted, in milliseconds.
const soon = 500

// paint measures when pages are first seen by someone who has nothing of them yet: the
// median and the slowest of so many times.
func paint(ctx context.Context, out io.Writer, base string, o options) error {
	if _, err := chromedp.Call(ctx, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}); err != nil {
		return err
	}
	for path := range strings.SplitSeq(o.pages, ",") {
		var times []float64
		for range o.paint {
			if err := chromedp.Do(ctx, browser.Screen(1440, "light"), chromedp.Navigate(base+path)); err != nil {
				return fmt.Errorf("open %s: %w", path, err)
			}
			ms, err := chromedp.Run(ctx, chromedp.Evaluate[float64](firstPaint, chromedp.EvalAwaitPromise))
			if err != nil {
				return fmt.Errorf("time %s: %w", path, err)
			}
			times = append(times, ms)
		}
		slices.Sort(times)
		figure.Print(out, "first picture of "+path+", median ms", times[len(times)/2], figure.Target{})
		figure.Print(out, "  slowest", times[len(times)-1], figure.AtMost(soon))
	}
	return nil
}

// firstPaint is when something of the page was first seen, in milliseconds from its start.
const firstPaint = `new Promise((seen) => {
	new PerformanceObserver((list) => seen(list.getEntriesByName("first-contentful-paint")[0].startTime)).observe({ type: "paint", buffered: true });
})`

// Package browser drives a real Chromium before the dashboard: for tests of its pages,
// and for pictures of them. It makes no promises.
package browser

import (
	"context"
	"fmt"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Start starts a Chromium without a window whose profile is in a folder; tab is the
// context of its first tab. It is over when stop has returned.
func Start(ctx context.Context, profile string) (tab context.Context, stop func(), err error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(profile), chromedp.IgnoreCertErrors,
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(ctx, options...)
	tab, _ = chromedp.NewContext(ctx)
	stop = func() {
		_ = chromedp.Cancel(tab)
		cancel()
	}
	if err := chromedp.Do(tab); err != nil {
		stop()
		return nil, nil, fmt.Errorf("start Chromium: install the Debian package chromium: %w", err)
	}
	return tab, stop, nil
}

// Screen sets how wide the tab is in CSS pixels, and what of "light" and "dark" its owner
// prefers.
func Screen(width int64, theme string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
		return err
	}))
}

// Over is by how many CSS pixels the page in the tab is wider than its window.
func Over() chromedp.Action[int] {
	return chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`)
}

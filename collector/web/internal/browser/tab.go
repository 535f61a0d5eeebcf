package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long one test may take in its tab, on a computer that has much else to do.
const patience = 8 * time.Minute

// Tab of a Chromium, for one test. What goes wrong on the pages in it (an error in the
// console, something that the content security policy refused, a request to another
// origin) fails the test.
type Tab struct {
	testing.TB
	// Ctx is for actions of chromedp.
	Ctx context.Context
	// Base of the addresses of pages.
	Base string

	origins  []string // that may be asked
	mu       sync.Mutex
	visited  string
	requests int64
	posts    []string
}

// Open starts a Chromium that ends with the test. Its pages may ask other origins beside
// that of their base.
func Open(t testing.TB, base string, others ...string) *Tab {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes too long for -short")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	ctx, stop, err := Start(ctx, t.TempDir())
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	b := &Tab{TB: t, Ctx: ctx, Base: base, origins: append(others, base, "data:", "about:")}
	t.Cleanup(func() {
		stop()
		cancel()
	})
	b.listen()
	return b
}

// Beside opens another tab of the same person, which is closed with its test.
func (b *Tab) Beside(t testing.TB) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.Ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		cancel()
	})
	other := &Tab{TB: t, Ctx: ctx, Base: b.Base, origins: b.origins}
	other.listen()
	return other
}

// As lets what goes wrong from now on be of another test: a part of the one before, or that
// again.
func (b *Tab) As(t testing.TB) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.TB = t
}

func (b *Tab) listen() {
	b.Helper()
	if err := chromedp.Listen(b.Ctx, b.notice); err != nil {
		b.Fatal(err)
	}
}

// notice what no page may do.
func (b *Tab) notice(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.Errorf("%s: uncaught: %s %s", b.visited, e.ExceptionDetails.Text, describe(e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if slices.Contains([]string{"error", "warning", "assert"}, string(e.Type)) {
			b.Errorf("%s: console: %s", b.visited, describe(e.Args...))
		}
	case *log.EventEntryAdded: // a page that says that something is wrong is itself answered with its status
		if e.Entry.Level == log.EntryLevelError && (e.Entry.Source != log.EntrySourceNetwork || e.Entry.URL != b.visited) {
			b.Errorf("%s: %s: %s %s", b.visited, e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *page.EventJavascriptDialogOpening:
		b.Errorf("%s: a dialog opens: %s", b.visited, e.Message)
		go func() { // it holds up the page, and whoever waits for that
			_, _ = chromedp.Call(b.Ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{})
		}()
	case *network.EventRequestWillBeSent:
		b.requests++
		if e.Type == network.ResourceTypeDocument {
			b.visited = e.Request.URL
		}
		if e.Request.Method == http.MethodPost {
			b.posts = append(b.posts, e.Request.URL)
		}
		to, err := url.Parse(e.Request.URL)
		if err != nil || !slices.Contains(b.origins, strings.TrimSuffix(to.Scheme+"://"+to.Host, "//")) {
			b.Errorf("%s: a request leaves the origin: %s", b.visited, e.Request.URL)
		}
	}
}

func describe(values ...*runtime.RemoteObject) string {
	var words []string
	for _, v := range values {
		if v != nil {
			words = append(words, fmt.Sprint(v.Description, string(v.Value)))
		}
	}
	return strings.Join(words, " ")
}

// Requests is how many were sent.
func (b *Tab) Requests() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests
}

// Posts are the addresses to which forms were sent.
func (b *Tab) Posts() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.posts)
}

// Do runs actions.
func (b *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.Ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// Visit opens a page and waits until it is loaded.
func (b *Tab) Visit(path string) {
	b.Helper()
	if err := chromedp.Do(b.Ctx, chromedp.Navigate(b.Base+path)); err != nil {
		b.Fatalf("%s: %v", path, err)
	}
}

// Scripts switches those of pages on or off; the test's own run all the same.
func (b *Tab) Scripts(on bool) {
	b.Helper()
	if _, err := chromedp.Call(b.Ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.Fatal(err)
	}
}

// Value of a script, or of what it promises.
func Value[T any](b *Tab, script string) T {
	b.Helper()
	v, err := chromedp.Run(b.Ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v", script, err)
	}
	return v
}

// Wait until a script is true, also one of a page that is about to come.
func (b *Tab) Wait(script string) {
	b.Helper()
	for ctx, end := context.WithTimeout(b.Ctx, 30*time.Second); ; {
		so, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script))
		if err == nil && so {
			end()
			return
		}
		select {
		case <-time.After(30 * time.Millisecond):
		case <-ctx.Done():
			end()
			b.Fatalf("never: %s (%v)\n%s", script, err, b.Text())
		}
	}
}

// Text that a person reads on the page.
func (b *Tab) Text() string {
	b.Helper()
	return Value[string](b, `document.body.innerText`)
}

// Is wants all of the scripts true.
func (b *Tab) Is(scripts ...string) {
	b.Helper()
	for _, script := range scripts {
		if !Value[bool](b, script) {
			b.Errorf("not so: %s\n%s", script, b.Text())
		}
	}
}

// Press keys, one for each character, as a keyboard does: a page that takes a key for
// itself keeps it from being typed.
func (b *Tab) Press(keys string) {
	b.Helper()
	for _, key := range keys {
		events := kb.Encode(key)
		down, up := *events[0], *events[len(events)-1]
		if len(events) == 3 {
			down.Text = events[1].Text
		}
		for _, event := range []input.DispatchKeyEventParams{down, up} {
			if _, err := chromedp.Call(b.Ctx, input.DispatchKeyEvent, event); err != nil {
				b.Fatalf("press %q: %v", key, err)
			}
		}
	}
}

// TabTo presses the Tab key until what a selector chooses has the focus, and wants every
// stop on the way seen.
func (b *Tab) TabTo(selector string) {
	b.Helper()
	const stops = 200
	for range stops {
		b.Press("\t")
		if seen := Value[string](b, `(() => {
			const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
			if (at === document.body || at.type === "date") return ""; // Chromium itself marks a date's parts
			if (style.outlineStyle === "none" && style.boxShadow === "none") return "is not marked";
			return box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth ? "is out of sight" : "";
		})()`); seen != "" {
			b.Errorf("what has the focus %s: %s", seen, Value[string](b, `document.activeElement.outerHTML`))
		}
		if Value[bool](b, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			return
		}
	}
	b.Fatalf("%s is not reached with %d presses of the Tab key:\n%s", selector, stops, b.Text())
}

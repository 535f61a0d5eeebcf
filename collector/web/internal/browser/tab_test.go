package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/passmuster/muster/collector/web/internal/browser"
)

// What is wrong is found: a page without a violation was looked at.
func TestAxeFindsWhatIsWrong(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Wrong</title><style>
			p { color: #999; } button { width: 9px; height: 9px; padding: 0; border: 0; }
			@media (prefers-color-scheme: dark) { p { color: #000; } } @media (min-width: 700px) { button { margin: 1em; } }
			</style><main><h1>Wrong</h1><p>Pale<div><button></button><button>b</button></div><img src="data:,"></main>`))
	}))
	t.Cleanup(server.Close)
	b := browser.Open(t, server.URL)
	b.Visit("/")
	for _, c := range []struct {
		width int64
		theme string
		want  []string
	}{
		{320, "light", []string{"button-name", "color-contrast", "image-alt", "target-size"}},
		{320, "dark", []string{"button-name", "image-alt", "target-size"}},
		{768, "light", []string{"button-name", "color-contrast", "image-alt"}},
	} {
		b.Do(browser.Screen(c.width, c.theme))
		var got []string
		for _, v := range b.Check() {
			got = append(got, v.Rule)
		}
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%d pixels, %s: %q, want %q", c.width, c.theme, got, c.want)
		}
	}
}

// heard is what a test was told of faults.
type heard struct {
	testing.TB
	mu     sync.Mutex
	faults []string
}

func (h *heard) Errorf(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, fmt.Sprintf(format, args...))
}

// What no page may do is noticed.
func TestFaultsAreNoticed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusNotFound)
		}
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src * data:; style-src 'unsafe-inline'")
		if r.URL.Path == "/faults.js" {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write([]byte(`console.error("something is wrong"); alert("hear me"); fetch("/gone"); throw new Error("worse");`))
			return
		}
		_, _ = w.Write([]byte(`<!doctype html><link rel="icon" href="data:,"><title>Faults</title><p style="width: 500px">Wide</p>
			<img src="http://192.0.2.1/far.png"><script>1</script><script src="/faults.js"></script>`))
	}))
	t.Cleanup(server.Close)
	h := &heard{TB: t}
	b := browser.Open(h, server.URL)
	b.Do(browser.Screen(320, "light"), chromedp.Evaluate[chromedp.Void](`location = `+strconv.Quote(server.URL)))
	for _, want := range []string{"console: ", "a dialog opens: hear me", "uncaught: ", "a request leaves the origin: http://192.0.2.1/far.png", "security: ", "404"} {
		for tries := 0; ; tries++ {
			h.mu.Lock()
			so := slices.ContainsFunc(h.faults, func(fault string) bool { return strings.Contains(fault, want) })
			h.mu.Unlock()
			if so {
				break
			}
			if tries == 300 {
				t.Fatalf("no %q in %q", want, h.faults)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	if over, err := chromedp.Run(b.Ctx, browser.Over()); err != nil || over < 150 {
		t.Errorf("the page is %d pixels too wide: %v", over, err)
	}
}

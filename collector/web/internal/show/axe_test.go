package main

import (
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/passmuster/muster/collector/web/internal/browser"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// sights are the pages that people see, by who they are.
func sights(now time.Time) map[string][]string {
	of := links(storybook.Example(now.UTC()))
	return map[string][]string{
		"officer":  slices.Concat([]string{"/storybook", "/search?q=a", "/search?q=nowhere"}, of["Pages"], of["When something is wrong"], of["Last week"][:1]),
		"clerk":    {"/counties/56021", "/counties/56021/scorecard", "/changes", "/quiet", "/exceptions", "/exceptions/ask?county=56021", "/pending", "/exports", "/search?q=a", "/nothing"},
		"clerks":   {"/counties"},
		"stranger": {"/nothing"},
	}
}

// TestEveryoneCanUseThePages looks at every page in light and dark at three widths: nothing
// that axe-core finds is wrong, and none scrolls sideways.
func TestEveryoneCanUseThePages(t *testing.T) {
	s, err := newStage(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	first := browser.Open(t, server.URL)
	var pages, looks, requests atomic.Int64
	for who, paths := range sights(time.Now()) {
		first.Visit("/as/" + who)
		todo := make(chan string, len(paths))
		for _, path := range paths {
			todo <- path
		}
		close(todo)
		t.Run(who, func(t *testing.T) {
			for _, tab := range []string{"left", "right"} {
				t.Run(tab, func(t *testing.T) {
					t.Parallel()
					b := first.Beside(t)
					for path := range todo {
						b.Visit(path)
						browser.Value[bool](b, openAll)
						pages.Add(1)
						looks.Add(b.Sound())
					}
					requests.Add(b.Requests())
				})
			}
		})
	}
	t.Logf("%d pages, %d times page, theme and width, with %d requests", pages.Load(), looks.Load(), requests.Load())
}

// openAll shows what is folded away.
const openAll = `document.querySelectorAll("main details").forEach((one) => { one.open = true; }), true`

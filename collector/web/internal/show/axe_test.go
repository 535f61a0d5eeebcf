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

// still is a stage on which nothing changes by itself.
func still(t *testing.T) *sight {
	t.Helper()
	s, err := newStage(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return &sight{browser.Open(t, server.URL), s}
}

// each opens the paths in two tabs at once, with all that unfolds open, and says how much
// the tabs asked for.
func (s *sight) each(t *testing.T, name string, paths []string, look func(*browser.Tab)) int64 {
	todo := make(chan string, len(paths))
	for _, path := range paths {
		todo <- path
	}
	close(todo)
	var requests atomic.Int64
	t.Run(name, func(t *testing.T) {
		for _, tab := range []string{"left", "right"} {
			t.Run(tab, func(t *testing.T) {
				t.Parallel()
				b := s.Beside(t)
				for path := range todo {
					b.Visit(path)
					browser.Value[bool](b, openAll)
					look(b)
				}
				requests.Add(b.Requests())
			})
		}
	})
	return requests.Load()
}

// TestEveryoneCanUseThePages looks at every page in light and dark at three widths: nothing
// that axe-core finds is wrong, and none scrolls sideways.
func TestEveryoneCanUseThePages(t *testing.T) {
	s := still(t)
	var pages, looks atomic.Int64
	var requests int64
	for who, paths := range sights(time.Now()) {
		s.Visit("/as/" + who)
		requests += s.each(t, who, paths, func(b *browser.Tab) {
			pages.Add(1)
			looks.Add(b.Sound())
		})
	}
	t.Logf("%d pages, %d times page, theme and width, with %d requests", pages.Load(), looks.Load(), requests)
}

// openAll shows what is folded away.
const openAll = `document.querySelectorAll("main details").forEach((one) => { one.open = true; }), true`

package main

import (
	"net/url"
	"testing"
	"time"

	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/browser"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// asMade by the collector: its one script, and nothing on the page that could run another
// or ask for something.
const asMade = `document.scripts.length === 1 && document.querySelector("img, iframe, object, embed, base, meta[http-equiv]") === null &&
	[...document.querySelectorAll("*")].every((one) => [...one.attributes].every((a) => !a.name.startsWith("on")) &&
		/^(https?|tel|mailto):|^$/.test(one.protocol ?? ""))`

// TestHostileTextsDoNothing opens every page with each of the hostile texts wherever
// someone else can write, but those that differ in what the collector shows of them only:
// no script runs, nothing else is asked for (a Tab sees that), and no page scrolls sideways, on a telephone or a desk.
func TestHostileTextsDoNothing(t *testing.T) {
	s := still(t)
	texts := storybook.Hostile()
	for _, name := range []string{"script", "right", "emoji", "long"} {
		text := texts[name]
		book := storybook.ExampleOf(text, time.Now().UTC())
		if err := s.set(book); err != nil {
			t.Fatal(err)
		}
		asked := url.Values{"q": {text}, "who": {text}}.Encode()
		s.each(t, name, append(book.Paths(web.Patterns()), "/courier?upload=example", "/search?"+asked, "/log?"+asked), func(b *browser.Tab) {
			b.Is(asMade)
			for _, width := range []int64{320, 1440} {
				b.Fits(width)
			}
		})
	}
}

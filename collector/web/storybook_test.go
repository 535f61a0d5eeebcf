package web_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

// TestStorybook holds the page of every part to what every page must keep.
func TestStorybook(t *testing.T) {
	links := map[string][]string{"Pages": {"/", "/policies"}}
	full, empty := storybook.Example(now), &storybook.Book{}
	for _, b := range []*storybook.Book{full, empty} {
		p, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Name: "State of Example", State: "56", Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		h, err := p.Storybook(links)
		if err != nil {
			t.Fatal(err)
		}
		d := open(t, h, "/storybook")
		if d.Code != http.StatusOK {
			t.Fatalf("it is answered %d: %s", d.Code, d.Text)
		}
		d.has(t, "Could not be checked", "20,000 meet the baseline", "in 3 days, never", "Not live since 15:04", "Nobody waits.")
		if b == full {
			d.has(t, "invoice⟨U+202E⟩fdp.exe", "unnamed computer", "C: not encrypted encrypted D: is encrypted", "Laramie County: ")
		}
	}
}

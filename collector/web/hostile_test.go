package web_test

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
	"github.com/passmuster/muster/policies/changes"
)

var hostile = storybook.Hostile()

// longestShown bounds a text of a page in characters: a longer one is cut and said to be.
const longestShown = 1000

func TestHostileTexts(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for path, page := range hostilePages(t, text) {
				if err := harmless(page); err != nil {
					t.Errorf("%.60s: %v", path, err)
				}
			}
		})
	}
}

// What cannot be seen is named, what is too long is cut, and the page of a host has the
// whole of what may come as its name.
func TestHostileTextsCanBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"invoice\u202Efdp.exe":                "invoice⟨U+202E⟩fdp.exe",
		"CLERK\uFE0F\u3164":                   "CLERK⟨U+FE0F⟩⟨U+3164⟩",
		"Z\u0301\u0301\u0301\u0301 caf\u0301": "Z\u0301\u0301\u0301⟨U+0301⟩ caf\u0301",
		strings.Repeat("W", 10000):            "… (9,000 characters more)",
		strings.Repeat("W", 255):              strings.Repeat("W", 255),
	} {
		b, id := one(func(h *muster.HostStanding, _ *storybook.Book) { h.Hostname = text })
		open(t, mustNew(t, b, b.Catalogue), "/hosts/"+string(id)).has(t, want)
	}
}

// hostilePages opens every page of a state where the text is in every place that someone
// else can fill, by address.
func hostilePages(tb testing.TB, text string) map[string]string {
	tb.Helper()
	b := storybook.ExampleOf(text, now)
	change := changes.Change{Kind: changes.KindControl, Name: text, What: text, Old: text, New: text}
	h, err := web.New(web.Options{Reader: b, Catalogue: b.Catalogue, Waivers: b.Waivers, Attestations: b.Attestations, Held: b.Held,
		Diff: func(context.Context, int64, int64) ([]changes.Change, error) { return []changes.Change{change}, nil },
		Name: "State of Example", Now: func() time.Time { return now },
		Who: func(r *http.Request) web.Person {
			if r.URL.Path == "/counties" {
				return web.Person{Name: text, Counties: []muster.County{"56001", "56021"}, Session: true}
			}
			return web.Person{Name: text, Role: muster.RoleCISO, Session: true}
		}})
	if err != nil {
		tb.Fatal(err)
	}
	pages := map[string]string{}
	for _, pattern := range web.Patterns() {
		paths := b.HostilePaths(pattern, text)
		if paths == nil && pattern != "GET /static/" && pattern != "GET /live" {
			tb.Errorf("no page of %s is opened", pattern)
		}
		if pattern == "GET /courier" {
			paths = append(paths, "/courier?upload=example")
		}
		for i, path := range paths {
			w := get(h, path)
			if i == 0 && w.Code != http.StatusOK || w.Code >= http.StatusInternalServerError {
				tb.Errorf("%.60s answers %d", path, w.Code)
			}
			if w.Code < 300 || w.Code >= 400 {
				pages[path] = w.Body.String()
			}
		}
	}
	w := httptest.NewRecorder()
	h.Refuse(w, httptest.NewRequest(http.MethodPost, "/policies", nil), http.StatusConflict, text, text)
	pages["a refusal"] = w.Body.String()
	return pages
}

// harmless holds a page to what it must be with a hostile text in it: well formed, without
// a script, without an address that is not of the collector, without characters that
// cannot be seen, and with what is written to the left kept apart from its surroundings.
func harmless(page string) error {
	if _, err := parse(page); err != nil {
		return err
	}
	r := xml.NewDecoder(strings.NewReader(page))
	var within []string
	for {
		token, err := r.Token()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			name := t.Name.Local
			for _, a := range t.Attr {
				switch {
				case a.Name.Local == "dir":
					name = "bdi"
				case a.Name.Local == "value" && t.Name.Local == "input": // as it is, to be changed
					a.Value = ""
				case slices.Contains([]string{"href", "src", "action", "formaction"}, a.Name.Local):
					if !strings.ContainsAny(a.Value[:1], "/#?") && !strings.HasPrefix(a.Value, "tel:") && !strings.HasPrefix(a.Value, "mailto:") {
						return fmt.Errorf("%s leads to %q", t.Name.Local, a.Value)
					}
					a.Value = strings.ReplaceAll(a.Value, "W", "") // it leads to what has the name, however long
				}
				if err := visible(a.Value); err != nil {
					return fmt.Errorf("%s of %s: %w", a.Name.Local, t.Name.Local, err)
				}
			}
			within = append(within, name)
		case xml.EndElement:
			within = within[:len(within)-1]
		case xml.CharData:
			if slices.Contains(within, "textarea") {
				continue
			}
			text := string(t)
			if slices.Contains(within, "pre") { // the whole, to be copied
				text = strings.ReplaceAll(text, "W", "")
			}
			if err := visible(text); err != nil {
				return fmt.Errorf("in %v: %w", within, err)
			}
			apart := slices.ContainsFunc(within, func(name string) bool { return slices.Contains([]string{"bdi", "title", "option"}, name) })
			if strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Hebrew, r) }) && !apart {
				return fmt.Errorf("in %v: %q is not kept apart", within, t)
			}
		}
	}
}

// visible refuses a text with what cannot be seen, or without an end.
func visible(text string) error {
	marks := 0
	for _, r := range text {
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		switch {
		case marks > 3:
			return fmt.Errorf("%d marks over and under one letter", marks)
		case unicode.In(r, unicode.Cf, unicode.Co, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point), r == 0x2800,
			unicode.IsControl(r) && r != '\n' && r != '\t':
			return fmt.Errorf("%U is not seen in %.200q", r, text)
		}
	}
	if strings.Contains(text, strings.Repeat("W", longestShown+1)) {
		return errors.New("a long text is not cut")
	}
	return nil
}

// FuzzPages: whatever someone else writes, pages are harmless.
func FuzzPages(f *testing.F) {
	state := &struct{ *storybook.Book }{storybook.ExampleOf("", now)}
	h := mustNew(f, state, state.Catalogue)
	f.Add(hostile["script"]) // TestHostileTexts opens them with the others
	f.Fuzz(func(t *testing.T, text string) {
		state.Book = storybook.ExampleOf(text, now)
		for _, path := range state.Paths(web.Patterns()) {
			w := get(h, path)
			if w.Code == http.StatusSeeOther {
				continue
			}
			if err := harmless(w.Body.String()); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

// FuzzPath: no address makes a page fail.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/", "/counties/56021", "/hosts/x", "/controls/%2F", "//", "/static/../web.go"} {
		f.Add(path)
	}
	book := storybook.Example(now)
	h := mustNew(f, book, book.Catalogue)
	f.Fuzz(func(t *testing.T, path string) {
		r, err := http.NewRequest("GET", "http://127.0.0.1/"+strings.TrimPrefix(path, "/"), nil)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%q answers %d", path, w.Code)
		}
	})
}

package web_test

import (
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

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
)

// A document is a page, read back.
type document struct {
	Code  int
	Text  string // what a person sees, spaces made single
	Title string
	Links []string
	ids   map[string]bool
}

func (d document) has(tb testing.TB, texts ...string) {
	tb.Helper()
	for _, want := range texts {
		if !strings.Contains(d.Text, want) {
			tb.Errorf("page does not say %q:\n%s", want, d.Text)
		}
	}
}

func (d document) hasNot(tb testing.TB, texts ...string) {
	tb.Helper()
	for _, text := range texts {
		if strings.Contains(d.Text, text) {
			tb.Errorf("page says %q:\n%s", text, d.Text)
		}
	}
}

func mustNew(tb testing.TB, reader web.Reader, catalogue []muster.Control) http.Handler {
	tb.Helper()
	h, err := web.New(web.Options{Reader: reader, Catalogue: catalogue, Name: "State of Example", Now: func() time.Time { return now }})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// open gets a page and holds it to what every page must keep.
func open(tb testing.TB, h http.Handler, path string) document {
	tb.Helper()
	w := get(h, path)
	d, err := parse(w.Body.String())
	if err != nil {
		tb.Fatalf("%s: %v\n%s", path, err, w.Body)
	}
	d.Code = w.Code
	if got := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; base-uri 'none'") {
		tb.Errorf("%s: content security policy is %q", path, got)
	}
	return d
}

// parse reads a page as strictly as XML and checks its structure: one h1, one
// main, no level of heading skipped, ids unique and references kept, captions
// and scopes on tables, shapes hidden from screen readers, and nothing inline
// that the content security policy would refuse.
func parse(page string) (document, error) {
	doc := document{ids: map[string]bool{}}
	var text strings.Builder
	var open []string
	var references []string
	count := map[string]int{}
	level := 0
	r := xml.NewDecoder(strings.NewReader(page))
	for {
		token, err := r.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return doc, fmt.Errorf("not well formed: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			name := t.Name.Local
			attr := map[string]string{}
			for _, a := range t.Attr {
				attr[a.Name.Local] = a.Value
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
					return doc, fmt.Errorf("inline %s on %s", a.Name.Local, name)
				}
			}
			if id := attr["id"]; id != "" {
				if doc.ids[id] {
					return doc, fmt.Errorf("id %s twice", id)
				}
				doc.ids[id] = true
			}
			for _, key := range []string{"aria-labelledby", "href"} {
				if id := strings.TrimPrefix(attr[key], "#"); id != attr[key] || key != "href" && id != "" {
					references = append(references, id)
				}
			}
			switch {
			case name == "script" && strings.HasPrefix(attr["src"], "/static/muster.js?v="):
			case name == "script" || name == "style" || name == "base":
				return doc, fmt.Errorf("inline %s", name)
			case name == "a" && strings.HasPrefix(attr["href"], "/"):
				doc.Links = append(doc.Links, attr["href"])
			case name == "th" && attr["scope"] == "":
				return doc, errors.New("th without scope")
			case name == "svg" && attr["aria-hidden"] != "true" && (attr["role"] != "img" && attr["role"] != "group" || attr["aria-label"]+attr["aria-labelledby"] == ""):
				return doc, errors.New("svg neither hidden from screen readers nor named to them")
			case len(name) == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6':
				if l := int(name[1] - '0'); l > level+1 {
					return doc, fmt.Errorf("heading %s after level %d", name, level)
				} else {
					level = l
				}
			}
			if len(open) > 0 && open[len(open)-1] == "table" && name == "thead" && count["caption"] != count["table"] {
				return doc, errors.New("table without caption")
			}
			count[name]++
			open = append(open, name)
			if !slices.Contains([]string{"a", "bdi", "strong", "span", "time", "svg", "use", "code"}, name) {
				text.WriteByte(' ')
			}
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 && open[len(open)-1] == "script" {
				return doc, errors.New("inline script")
			}
			if slices.Contains(open, "title") {
				doc.Title += string(t)
			} else {
				text.Write(t)
			}
		}
	}
	for _, id := range references {
		if !doc.ids[id] {
			return doc, fmt.Errorf("nothing has the id %s", id)
		}
	}
	for _, name := range []string{"html", "title", "main", "h1", "footer"} {
		if count[name] != 1 {
			return doc, fmt.Errorf("%d of %s", count[name], name)
		}
	}
	doc.Text = strings.Join(strings.Fields(text.String()), " ")
	return doc, nil
}

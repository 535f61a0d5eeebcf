package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/passmuster/muster/collector/web/internal/storybook"
)

func TestTextsArePacked(t *testing.T) {
	book := storybook.Example(now)
	h := mustNew(t, book, book.Catalogue)
	ask := func(method, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		for _, one := range header {
			name, value, _ := strings.Cut(one, ": ")
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	takes := "Accept-Encoding: deflate, gzip;q=0.8, br"
	for _, path := range []string{"/", "/policies", "/nothing", "/static/muster.css", "/static/muster.js"} {
		plain, packed := ask(http.MethodGet, path), ask(http.MethodGet, path, takes)
		r, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, plain.Body.Bytes()) {
			t.Errorf("%s: what is packed is something else: %v", path, err)
		}
		if h := packed.Header(); h.Get("Content-Encoding") != "gzip" || h.Get("Content-Length") != "" || h.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: packed with %v", path, h)
		}
		if h := plain.Header(); h.Get("Content-Encoding") != "" || h.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: plain with %v", path, h)
		}
		if head := ask(http.MethodHead, path, takes); head.Body.Len() != 0 || head.Code != plain.Code {
			t.Errorf("%s: HEAD answers %d with %d bytes", path, head.Code, head.Body.Len())
		}
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"refused":             ask(http.MethodGet, "/", "Accept-Encoding: gzip;q=0, identity"),
		"refused with zeros":  ask(http.MethodGet, "/", "Accept-Encoding: gzip; q=0.000"),
		"another coding":      ask(http.MethodGet, "/", "Accept-Encoding: xgzip"),
		"small":               ask(http.MethodGet, "/static/mark.svg", takes),
		"not modified":        ask(http.MethodGet, "/", takes, "If-None-Match: "+ask(http.MethodGet, "/").Header().Get("ETag")),
		"for another origin":  ask(http.MethodGet, "/", takes, "Sec-Fetch-Site: cross-site"),
		"for another site":    ask(http.MethodGet, "/", takes, "Sec-Fetch-Site: same-site"),
		"a part of something": ask(http.MethodGet, "/static/muster.css", takes, "Range: bytes=0-99"),
	} {
		if got := w.Header().Get("Content-Encoding"); got != "" {
			t.Errorf("%s is in %s", name, got)
		}
	}
	if w := ask(http.MethodGet, "/", takes, "Sec-Fetch-Site: same-origin"); w.Header().Get("Content-Encoding") != "gzip" {
		t.Error("what a page of the collector asks for is not packed")
	}
}

// FuzzAcceptEncoding: whatever a browser says it takes, it gets the page, plain or packed.
func FuzzAcceptEncoding(f *testing.F) {
	f.Add("gzip")
	f.Add("gzip;q=0.001, br")
	f.Add("GZIP ; q = 1")
	b, _ := one(nil)
	h := mustNew(f, b, b.Catalogue)
	want := get(h, "/").Body.String()
	f.Fuzz(func(t *testing.T, takes string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", takes)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var body io.Reader = w.Body
		if w.Header().Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil || !strings.Contains(strings.ToLower(takes), "gzip") {
				t.Fatalf("%q is answered packed: %v", takes, err)
			}
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != want {
			t.Errorf("%q is answered something else: %v", takes, err)
		}
	})
}

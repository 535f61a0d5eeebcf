package uplink

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster/internal/wire"
)

// seal leaves a file in relay/out, as muster does, and gives its digest.
func (l *lab) seal(name, content string) string {
	l.t.Helper()
	if err := os.WriteFile(l.path("relay", "out", name), []byte(content), 0o600); err != nil {
		l.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func (l *lab) returned() (names []string) {
	l.t.Helper()
	entries, err := os.ReadDir(l.path("relay", "in"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestRelay(t *testing.T) {
	l := newLab(t, 1)
	came := map[string]int{}
	l.collector.Return = func(sealed []byte) []byte {
		came[string(sealed)]++
		return []byte("return of " + string(sealed))
	}
	first, second := l.seal("a.courier", "sealed one"), l.seal("b.courier", strings.Repeat("sealed two", 100_000))
	l.seal(".b.courier.tmp", "unfinished")
	if err := os.Mkdir(l.path("relay", "out", "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	u := l.uplink()
	for range 2 { // what was answered does not travel again
		if err := u.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{first + ".return", second + ".return"}
	slices.Sort(want)
	if got := l.returned(); !slices.Equal(got, want) || len(came) != 2 || came["sealed one"] != 1 {
		t.Errorf("returned %v, came %d", got, len(came))
	}
	if b, err := os.ReadFile(l.path("relay", "in", first+".return")); err != nil || string(b) != "return of sealed one" {
		t.Errorf("%q, %v", b, err)
	}
	if entries, err := os.ReadDir(l.path("relay", "out")); err != nil || len(entries) != 4 {
		t.Errorf("the uplink removed from relay/out: %v, %v", entries, err)
	}
	if s := l.status(); s.RelayWaiting != 0 || s.RelayRefused != nil {
		t.Errorf("%+v", s)
	}
	// Another file of the same name is another file.
	third := l.seal("a.courier", "sealed three")
	if err := u.Once(t.Context()); err != nil || !slices.Contains(l.returned(), third+".return") {
		t.Errorf("%v, returned %v", err, l.returned())
	}
}

func TestRelayRefusedAndRetried(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		final  string // code of the refusal; "" where it is tried again
	}{
		{"wrong county", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"code":"wrong_county","detail":"not yours"}`)
		}, "wrong_county"},
		{"too large", func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestEntityTooLarge) }, "too_large"},
		{"busy", func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }, ""},
		{"broken", func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, ""},
		{"no answer of a collector", func(w http.ResponseWriter) { http.Error(w, "not here", http.StatusNotFound) }, ""},
		{"login page", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>")
		}, ""},
		{"cut", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", wire.TypeCourier)
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "half of it")
		}, ""},
		{"without end", func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", wire.TypeCourier)
			b := make([]byte, 1<<20)
			for range maxReturn>>20 + 1 {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, 0)
			l.collector.Return = func([]byte) []byte { return []byte("return") }
			l.collector.Before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v1/courier" {
					c.answer(w)
				}
				return r.URL.Path == "/v1/courier"
			}
			digest := l.seal("a.courier", "sealed")
			u := l.uplink()
			err := u.Once(t.Context())
			s := l.status()
			if c.final == "" {
				if err == nil || s.RelayWaiting != 1 || !strings.Contains(s.Error, "relay a sealed file") {
					t.Errorf("%v, %+v", err, s)
				}
			} else if err != nil || s.RelayWaiting != 0 || len(s.RelayRefused) != 1 || s.RelayRefused[0].File != digest || s.RelayRefused[0].Code != c.final {
				t.Errorf("%v, %+v", err, s)
			}
			if c.final != "" {
				// Muster takes it back, and asks again later.
				if err := os.Remove(l.path("relay", "out", "a.courier")); err != nil {
					t.Fatal(err)
				}
				if u.wanted(nil) || len(l.status().RelayRefused) != 0 {
					t.Errorf("what is gone is still refused: %+v", l.status())
				}
				l.seal("a.courier", "sealed")
				if !u.wanted(nil) {
					t.Error("what came again is not asked about again")
				}
			}
			if got := l.returned(); len(got) != 0 {
				t.Errorf("returned %v", got)
			}
			l.collector.Before = nil
			l.now = l.now.Add(refusedFor + time.Second)
			if err := u.Once(t.Context()); err != nil || len(l.returned()) != 1 || len(l.status().RelayRefused) != 0 {
				t.Errorf("a day later: %v, %v", err, l.returned())
			}
		})
	}
}

package web_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

var hostile = map[string]string{
	"script":    `"><script>alert(1)</script><img src=x onerror=alert(1)>`,
	"right":     "invoice\u202Efdp.exe",
	"zerowidth": "CLERK\u200B-01\u2060",
	"long":      strings.Repeat("W", 10000),
	"control":   "a\x00b\x1b[31mc\xff",
	"template":  `{{.Site}} </title></bdi> &lt; ]]>`,
}

func TestHostileTexts(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			for path, d := range hostilePages(t, text) {
				if strings.ContainsAny(d.Text, "\u202E\u200B\u2060\x00\x1b") {
					t.Errorf("%s shows an invisible character", path)
				}
				if len(d.Text) > 20000 {
					t.Errorf("%s shows %d bytes", path, len(d.Text))
				}
			}
		})
	}
	pages := hostilePages(t, hostile["right"])
	pages["host"].has(t, "invoice⟨U+202E⟩fdp.exe")
	pages = hostilePages(t, hostile["long"])
	pages["host"].has(t, "… (9,400 characters more)")
}

// hostilePages opens every page of a state where the text is in every place
// that a host can fill.
func hostilePages(tb testing.TB, text string) map[string]document {
	b, id := one(func(h *muster.HostStanding, b *storybook.Book) {
		h.Hostname, h.Agent, h.PolicyRevision = text, text, text
		h.Profile, h.Platform = muster.Profile(text), muster.Platform(text)
		h.Summary = muster.Summary{}
		e := muster.Evidence{Reason: text, Violations: []muster.Violation{{Subject: text, Found: text, Want: text}}, Notes: []string{text}}
		b.Evidence[h.ID] = map[string]muster.Evidence{"MVS-ENC-01": e, text: e}
		for i, control := range []string{"MVS-ENC-01", text} {
			f := muster.FindingStanding{Host: h.ID, Control: control, Status: muster.StatusFail, Since: now}
			if i == 0 {
				b.Findings[0] = f
			} else {
				b.Findings = append(b.Findings, f)
			}
			b.Transitions = append(b.Transitions, muster.Transition{Host: h.ID, Control: control, From: muster.StatusPass, To: muster.StatusFail, ReceivedAt: now})
		}
	})
	b.Steps = map[muster.HostID][]muster.CustodyEvent{id: {{At: now, Act: text, By: text, File: text, Host: id, From: 1, To: 2}}}
	b.Asked = []muster.Ask{{County: "56021", Host: id, Control: "MVS-ENC-01", Reason: text, By: text, At: now, Until: now, State: muster.AskDeclined, Answer: text}}
	silent := b.Fleet[0]
	silent.ID, silent.Stale = muster.NewHostID([]byte("silent")), true
	b.Fleet = append(b.Fleet, silent)
	b.Absent = append(b.Absent, muster.ExpectedHost{County: "56021", Name: text, Profile: muster.Profile(text), Note: text})
	waiting := b.Fleet[0]
	waiting.ID, waiting.State = muster.NewHostID([]byte("waiting")), muster.HostPending
	b.Fleet = append(b.Fleet, waiting)
	h := mustNew(tb, b, b.Catalogue)
	pages := map[string]document{}
	for name, path := range map[string]string{"overview": "/", "county": "/counties/56021", "host": "/hosts/" + string(id), "control": "/controls/MVS-ENC-01", "changes": "/changes", "quiet": "/quiet"} {
		pages[name] = open(tb, h, path)
	}
	return pages
}

// FuzzPages: whatever a host writes, pages stay well formed and without a
// script, and show no invisible character.
func FuzzPages(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(hostile)) {
		f.Add(hostile[name])
	}
	f.Fuzz(func(t *testing.T, text string) {
		for path, d := range hostilePages(t, text) {
			for _, r := range d.Text {
				if r == 0xFFFD && strings.ToValidUTF8(text, "") != text {
					continue
				}
				if r < ' ' || r == 0x7F || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
					t.Fatalf("%s shows %U", path, r)
				}
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

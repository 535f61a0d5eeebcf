package web_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

func TestLog(t *testing.T) {
	b, id := one(nil)
	at := now
	note := func(actor, action, object string) {
		at = at.Add(-6 * time.Minute)
		b.Logged = append(b.Logged, muster.LogEntry{ID: int64(1000 - len(b.Logged)), At: at, Actor: actor, Action: action, Object: object})
	}
	gone := muster.NewHostID([]byte("gone"))
	note("op@state.example", "approve", string(id))
	note("op@state.example", "retire", string(gone))
	note("officer@state.example", "set_ring", "56001 to canary")
	note("token", "expect_hosts", "9 of county 56021")
	note("clerk@albany.example", "export", "/api/v1/hosts?as_of=2026-11-02T23%3A59%3A59.999999Z&county=56001&format=csv")
	note("clerk@albany.example", "export", "/api/v1/hosts/"+string(id)+"/reports/3?")
	note("clerk@albany.example", "upload_courier", "12345 bytes")
	note("op@state.example", "export", "/api/v1/counties/56001/contacts?format=csv")
	note("op@state.example", "export", "/api/v1/findings?control=MVS-ENC-01&format=csv")
	note("host", "hold_host", string(id)+": it comes from the node of another computer")
	note(hostile["script"], hostile["right"], hostile["zerowidth"]+" "+hostile["control"])
	h := seenBy(t, b, officer)
	d := open(t, h, "/log")
	d.has(t, "Approved CLERK-01 op@state.example", "6 minutes ago 3 November 2026, 14:58 UTC", "Retired "+string(gone), "Put into a ring: Albany County to canary",
		"Listed expected computers: 9 of Laramie County A program with the API token", "Took out a file: Computers of Albany County as of 2 November 2026, 23:59 UTC clerk@albany.example",
		"Took out a file: /api/v1/hosts/", "Uploaded a courier file of 12345 bytes", "Must wait for approval: CLERK-01 it comes from the node", "⟨U+202E⟩", "The whole log as a file (CSV)",
		"Took out a file: Contacts of Albany County op@state.example", "Took out a file: What is not met for control MVS-ENC-01 op@state.example")
	d.hasNot(t, "Older", "\u202e")
	if slices.Contains(d.Links, "/hosts/"+string(gone)) || !slices.Contains(d.Links, "/hosts/"+string(id)) {
		t.Errorf("links: %q", d.Links)
	}
	d = open(t, h, "/log?who=OP%40state&what=approve")
	d.has(t, "Approved CLERK-01")
	d.hasNot(t, "Retired h")
	open(t, h, "/log?who=nobody").has(t, "Nothing like this is among the 11 lines that were looked through, back to 3 November 2026, 13:58 UTC.")
	for _, query := range []string{"before=x", "before=-1", "before=99999999999999999999"} {
		if d := open(t, h, "/log?"+query); d.Code != http.StatusNotFound {
			t.Errorf("%s: %d", query, d.Code)
		}
	}
	open(t, seenBy(t, &storybook.Book{}, officer), "/log").has(t, "Nothing has happened yet.")
}

// However long the log is, a page is short, and all of it is reached page by page.
func TestLogIsReadInPages(t *testing.T) {
	b, _ := one(nil)
	const all = 12000
	for i := range all {
		action := "login"
		if i%4000 == 3999 {
			action = "backup"
		}
		b.Logged = append(b.Logged, muster.LogEntry{ID: int64(all - i), At: now.Add(-6 * time.Minute), Actor: "someone@state.example", Action: action, Object: fmt.Sprint("number ", i)})
	}
	h := seenBy(t, b, officer)
	walk := func(path string) (pages int, text string) {
		for path != "" {
			d := open(t, h, path)
			pages++
			text += d.Text
			path = ""
			for _, l := range d.Links {
				if strings.Contains(l, "before=") {
					path = l
				}
			}
		}
		return pages, text
	}
	if pages, text := walk("/log?before=301"); pages != 7 || strings.Count(text, "number ") != 300 {
		t.Errorf("%d pages, %d entries", pages, strings.Count(text, "number "))
	}
	pages, text := walk("/log?what=backup")
	if pages != 3 || strings.Count(text, "number ") != 3 || !strings.Contains(text, "Look further back than") {
		t.Errorf("%d pages: %.600s", pages, text)
	}
}

package web_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/web"
	"github.com/passmuster/muster/collector/web/internal/storybook"
)

func find(text string) string { return "/search?" + url.Values{"q": {text}}.Encode() }

func TestSearch(t *testing.T) {
	b := storybook.Example(now)
	h := seenBy(t, b, officer)
	for text, want := range map[string][]string{
		"":                       {"Search You can search for", "a control, by its id"},
		"  x ":                   {"That cannot be searched for Enter between 2 and 200 characters."},
		"laramie":                {"result", "LARAMIE-WS-01", "Counties 1 Laramie County FIPS 56021"},
		"FIREWALL":               {"Controls 1 The firewall is on for every network and blocks incoming traffic critical MVS-NET-01"},
		"voter records":          {"The disk is encrypted"}, // words of the reason
		"mvs-upd":                {"Controls", "MVS-UPD-01"},
		"county":                 {"Counties more than 10", "There are more. Enter more of the name."},
		"-WS-":                   {"Computers more than 20"},
		"nowhere at all":         {"Nothing is called nowhere at all You can search for", "A computer that waits for approval, or is retired, is not found."},
		"56999":                  {"Nothing is called 56999"},
		"17031":                  {"Nothing is called 17031"}, // another state's
		`%_\'"`:                  {`Nothing is called %_\'"`},
		strings.Repeat("é", 201): {"That cannot be searched for"},
	} {
		d := open(t, h, find(text))
		if d.Code != http.StatusOK {
			t.Errorf("%q: %d", text, d.Code)
		}
		d.has(t, want...)
	}
	inOrder(t, open(t, h, find("update")).Text, "The operating system still gets", "A recent restore point") // the reason of the last one only
	if body := get(h, find(`a"<b`)).Body.String(); !strings.Contains(body, `value="a&#34;&lt;b"`) {
		t.Errorf("the field does not keep what was entered: %s", body)
	}
}

// What is named exactly is opened at once.
func TestSearchOpens(t *testing.T) {
	b, id := one(nil)
	waiting := b.Fleet[0]
	waiting.ID, waiting.State = muster.NewHostID([]byte("waiting")), muster.HostPending
	b.Fleet = append(b.Fleet, waiting)
	for text, want := range map[string]string{string(id): "/hosts/" + string(id), " " + strings.ToUpper(string(id)) + " ": "/hosts/" + string(id),
		"56021": "/counties/56021", "56001": "/counties/56001", "mvs-enc-01": "/controls/MVS-ENC-01", string(waiting.ID): ""} {
		if w := get(seenBy(t, b, officer), find(text)); w.Header().Get("Location") != want || (w.Code == http.StatusSeeOther) != (want != "") {
			t.Errorf("%q: %d %q", text, w.Code, w.Header().Get("Location"))
		}
	}
}

// Who reads a county finds what is in it, and learns of nothing else.
func TestSearchOfACounty(t *testing.T) {
	b := storybook.Example(now)
	var foreign muster.HostID
	for _, h := range b.Fleet {
		if h.County == "56001" && h.State == muster.HostActive {
			foreign = h.ID
		}
	}
	h := seenBy(t, b, clerk)
	for _, text := range []string{string(foreign), "56001", "albany"} {
		d := open(t, h, find(text)+"&county=56021")
		if d.Code != http.StatusOK {
			t.Errorf("%q: %d", text, d.Code)
		}
		d.has(t, "Nothing is called "+text)
		d.hasNot(t, "Albany County")
	}
	open(t, h, find("laramie")+"&county=56021").has(t, "LARAMIE-WS-01", "Laramie County FIPS 56021")
	for _, who := range []web.Person{clerk, helper} {
		h := seenBy(t, b, who)
		if w := get(h, find("mvs-net-01")+"&county=56021"); w.Header().Get("Location") != "/controls/MVS-NET-01?county=56021" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		if d := open(t, h, find("firewall")+"&county=56021"); !slices.Contains(d.Links, "/controls/MVS-NET-01?county=56021") {
			t.Errorf("a control is found without its county: %q", d.Links)
		}
	}
	if w := get(h, find("56021")+"&county=56021"); w.Header().Get("Location") != "/counties/56021" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestSearchNamesAsPeopleTypeThem(t *testing.T) {
	b, _ := one(nil)
	h := seenBy(t, b, officer, func(o *web.Options) { o.State = "35" })
	open(t, h, find("dona")).has(t, "Doña Ana County FIPS 35013")
	open(t, h, find("DOÑA ana")).has(t, "Doña Ana County FIPS 35013")
}

// FuzzSearch: whatever is searched for, the page is sound, bounded, and says so; where
// it leads elsewhere, it is to a page of this site.
func FuzzSearch(f *testing.F) {
	for _, name := range slices.Sorted(maps.Keys(hostile)) {
		f.Add(hostile[name])
	}
	for _, text := range []string{"clerk", "56021", "MVS-ENC-01", "//evil.example", "h\x00", "100%", "é"} {
		f.Add(text)
	}
	b := storybook.Example(now)
	h := seenBy(f, b, officer)
	f.Fuzz(func(t *testing.T, text string) {
		if w := get(h, find(text)); w.Code == http.StatusSeeOther {
			if to := w.Header().Get("Location"); !strings.HasPrefix(to, "/counties/") && !strings.HasPrefix(to, "/controls/") && !strings.HasPrefix(to, "/hosts/") {
				t.Fatalf("%q leads to %q", text, to)
			}
			return
		}
		d := open(t, h, find(text))
		if n := utf8.RuneCountInString(d.Text); d.Code != http.StatusOK || n > 6000 {
			t.Fatalf("%q: %d, %d characters", text, d.Code, n)
		}
	})
}

package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/passmuster/muster"
)

// table reads an answer as a spreadsheet would.
func (s *site) table(target string, header ...string) [][]string {
	s.Helper()
	w := s.ask(http.MethodGet, target, "", header...)
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), typeCSV) {
		s.Fatalf("%s: %d %s %s", target, w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	rows, err := csv.NewReader(w.Body).ReadAll()
	must(s.TB, err)
	return rows
}

// column of a table by its name.
func column1(rows [][]string, name string) (cells []string) {
	i := slices.Index(rows[0], name)
	for _, r := range rows[1:] {
		cells = append(cells, r[i])
	}
	return cells
}

func TestCSV(t *testing.T) {
	s := newSite(t)
	rows := s.table("/api/v1/hosts?format=csv&county=17031")
	if want := "id,hostname,county,profile,platform,demo,state,summary_pass"; !strings.HasPrefix(strings.Join(rows[0], ","), want) {
		t.Errorf("header: %q", rows[0])
	}
	names := column1(rows, "hostname")
	slices.Sort(names)
	if want := []string{"'=cmd|'/c calc'!A1, \"x\"\nü", "pc-silent"}; !slices.Equal(names, want) {
		t.Errorf("names: %q", names)
	}
	if got := s.table("/api/v1/hosts?county=17031", "Accept: text/csv, application/json;q=0.5"); len(got) != len(rows) {
		t.Errorf("by Accept: %d rows", len(got))
	}
	if body := s.ask(http.MethodGet, "/api/v1/hosts?format=csv", "").Body.String(); strings.Count(body, "\r\n") != 4 {
		t.Errorf("lines: %q", body)
	}
	for target, want := range map[string]int{"/api/v1/hosts?format=csv&limit=1": 400, "/api/v1/hosts?format=csv&after=eA": 400,
		"/api/v1/hosts?format=xml": 400, "/api/v1/me?format=csv": 400, "/api/v1/transitions?format=csv&limit=3": 200} {
		if w := s.ask(http.MethodGet, target, ""); w.Code != want {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// Each list has as many rows as CSV as it has as JSON, over all its pages.
func TestEveryListAsCSV(t *testing.T) {
	s := newSite(t)
	for _, op := range operations() {
		if !slices.ContainsFunc(op.gives, func(c content) bool { return c.media == typeCSV }) {
			continue
		}
		target := strings.NewReplacer("{host}", string(s.odd), "{county}", "17031", "{control}", "MVS-ENC-01").Replace(op.path)
		separator := "?"
		if op.id == "listFindings" {
			target, separator = target+"?county=17031", "&"
		}
		name, _, _ := strings.Cut(op.gives[0].json.Field(0).Tag.Get("json"), ",")
		var items []any
		for next := target; next != ""; {
			if slices.ContainsFunc(op.query, func(p param) bool { return p.name == "after" }) && next == target {
				next += separator + "limit=2"
			}
			var page map[string]any
			must(t, json.Unmarshal([]byte(s.get(next)), &page))
			items = append(items, page[name].([]any)...)
			next, _ = page["next_url"].(string)
		}
		if rows := s.table(target + separator + "format=csv"); len(rows) != len(items)+1 {
			// The export itself is a line of the audit log.
			if op.id != "listAuditLog" || len(rows) < len(items) {
				t.Errorf("%s: %d rows, %d items", target, len(rows)-1, len(items))
			}
		}
	}
}

// What a spreadsheet would compute comes back as it went out.
func FuzzRow(f *testing.F) {
	f.Add("=1+1", "a,b", "x\r\ny")
	f.Add("'", `"`, "")
	f.Add("\t+", "＝1", " ")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var out bytes.Buffer
		cells := []string{a, b, c}
		must(t, writeRow(&out, cells))
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(rows) != 1 || len(rows[0]) != len(cells) {
			t.Fatalf("%q: %q %v", cells, rows, err)
		}
		for i, got := range rows[0] {
			if strings.ContainsAny(got[:min(1, len(got))], "=+-@\t\r\n") {
				t.Errorf("%q is dangerous", got)
			}
			want := strings.ReplaceAll(strings.ToValidUTF8(cells[i], "\uFFFD"), "\r\n", "\n") // as encoding/csv reads
			if undefuse(got) != want {
				t.Errorf("%q comes back as %q", want, undefuse(got))
			}
		}
	})
}

func TestParseExpected(t *testing.T) {
	list, err := ParseExpected(strings.NewReader("\uFEFFNote,Name,Profile,room\r\n\"front, left\",PC-1,workstation,4\r\n'-,pc-2,,\r\n"))
	must(t, err)
	want := []muster.ExpectedHost{{Name: "PC-1", Profile: muster.Workstation, Note: "front, left"}, {Name: "pc-2", Note: "-"}}
	if !slices.Equal(list, want) {
		t.Errorf("%+v", list)
	}
	for text, says := range map[string]string{
		"": "first row names the columns", "pc-1\n": "no column name", "name\n\"\n": "read the list", "name,note\na\n": "read the list",
		"name\na\nA\n": "entry 2: A is there twice", "name,profile\na,server\n": "entry 1 (a): profile", "name\n\" \"\n": "entry 1: name",
		"name\n" + strings.Repeat("a", maxName+1) + "\n": "entry 1: name", "name,note\na," + strings.Repeat("a", maxNote+1): "note", "name,note\na,b\x00c\n": "note",
	} {
		if _, err := ParseExpected(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// What was read is in order, and is read again from what is written of it.
func FuzzParseExpected(f *testing.F) {
	f.Add("name,profile,note\npc-1,ems,x\n")
	f.Add("name\n=cmd\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseExpected(strings.NewReader(text))
		if err != nil {
			return
		}
		must(t, checkExpected(list))
		var out bytes.Buffer
		must(t, writeRow(&out, []string{"name", "profile", "note"}))
		for _, h := range list {
			must(t, writeRow(&out, []string{h.Name, string(h.Profile), h.Note}))
		}
		again, err := ParseExpected(&out)
		if err != nil || !slices.Equal(list, again) {
			t.Errorf("%+v comes back as %+v: %v", list, again, err)
		}
	})
}

package builtin

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

const failedLogon = `<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>
	<Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-a5ba-3e3b0328c30d}'/>
	<EventID>4625</EventID><Version>0</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode>
	<Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime='2026-10-19T13:51:10.1043210Z'/>
	<EventRecordID>77</EventRecordID><Correlation/><Execution ProcessID='1044' ThreadID='1188'/>
	<Channel>Security</Channel><Computer>ELEC-CLERK-03</Computer><Security/></System>
	<EventData><Data Name='TargetUserName'>county&amp;it</Data><Data Name='IpAddress'>10.20.30.88</Data><Data Name='Empty'/></EventData></Event>`

func TestParseEvent(t *testing.T) {
	e, err := parseEvent(failedLogon)
	if err != nil {
		t.Fatal(err)
	}
	want := muster.Row{
		"datetime": "2026-10-19T13:51:10.1043210Z", "eventid": "4625", "task": "12544", "level": "0", "pid": "1044", "tid": "1188",
		"provider_name": "Microsoft-Windows-Security-Auditing", "provider_guid": "{54849625-5478-4994-a5ba-3e3b0328c30d}",
		"computer_name": "ELEC-CLERK-03", "keywords": "0x8010000000000000",
		"data": `{"EventData":{"TargetUserName":"county&it","IpAddress":"10.20.30.88","Empty":""}}`,
	}
	if diff := cmp.Diff(want, e.row()); diff != "" {
		t.Error(diff)
	}
}

// TestEventData: what programs write comes in several shapes.
func TestEventData(t *testing.T) {
	const start = `<Event><System><EventID Qualifiers='16384'>7036</EventID><TimeCreated SystemTime='2026-10-19T13:51:10Z'/></System>`
	for name, c := range map[string]struct{ in, want string }{
		"nothing":  {"", `{}`},
		"empty":    {"<EventData/>", `{"EventData":""}`},
		"no names": {"<EventData><Data>a</Data><Data>b</Data></EventData>", `{"EventData":["a","b"]}`},
		"binary":   {"<EventData><Data>a</Data><Binary>00FF</Binary></EventData>", `{"EventData":{"Data":"a","Binary":"00FF"}}`},
		"repeated": {"<EventData><Data Name='x'>a</Data><Data Name='x'>b</Data></EventData>", `{"EventData":{"x":["a","b"]}}`},
		"own form": {"<UserData><LogFileCleared xmlns='urn:x'><SubjectUserName>joe</SubjectUserName><Channel>System</Channel></LogFileCleared></UserData>",
			`{"UserData":{"LogFileCleared":{"SubjectUserName":"joe","Channel":"System"}}}`},
		"not allowed in XML": {"<EventData><Data Name='x'>a\x01b&#x1;c&#0;d&#65;&#xD800;</Data></EventData>", `{"EventData":{"x":"a` + "\ufffdb\ufffdc\ufffddA\ufffd" + `"}}`},
	} {
		e, err := parseEvent(start + c.in + "</Event>")
		if err != nil || e.data() != c.want || e.ID != "7036" {
			t.Errorf("%s: got %s, %v, want %s", name, e.data(), err, c.want)
		}
	}
	for _, bad := range []string{"", "<Event/>", "<Event>", "no xml"} {
		if _, err := parseEvent(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestEventXPath(t *testing.T) {
	for _, c := range []struct {
		constraints []facts.Constraint
		want        string
	}{
		{nil, "*"},
		{[]facts.Constraint{equal("channel", "System"), equal("level", "2")}, "*"},
		{[]facts.Constraint{equal("eventid", "4625")}, "*[System[(EventID=4625)]]"},
		{[]facts.Constraint{equal("pid", "4")}, "*[System[Execution[@ProcessID=4]]]"},
		{[]facts.Constraint{equal("timestamp", "86400000")}, "*[System[TimeCreated[timediff(@SystemTime) <= 86400000]]]"},
		{[]facts.Constraint{equal("time_range", "2026-10-19T08:00:00-04:00")}, "*[System[TimeCreated[@SystemTime>='2026-10-19T12:00:00.000Z']]]"},
		{[]facts.Constraint{equal("eventid", "1"), equal("time_range", "2026-10-19T12:00:00Z;2026-10-20T12:00:00Z")},
			"*[System[(EventID=1) and TimeCreated[@SystemTime>='2026-10-19T12:00:00.000Z' and @SystemTime<='2026-10-20T12:00:00.000Z']]]"},
	} {
		got, err := eventXPath(facts.Query{Constraints: c.constraints})
		if err != nil || got != c.want {
			t.Errorf("got %s, %v, want %s", got, err, c.want)
		}
	}
	for _, bad := range []facts.Constraint{
		equal("eventid", "1 or 1=1"), equal("timestamp", "-1"), equal("time_range", "yesterday"), equal("time_range", "2026-10-19T12:00:00Z;']]"),
	} {
		if got, err := eventXPath(facts.Query{Constraints: []facts.Constraint{bad}}); err == nil {
			t.Errorf("%s %q became %s", bad.Column, bad.Value, got)
		}
	}
}

// FuzzParseEvent: what a program wrote into an event comes out as JSON, but for
// characters that no XML has.
func FuzzParseEvent(f *testing.F) {
	f.Add("TargetUserName", `a"b\c</Data>`, failedLogon)
	f.Add("", "\x00\x1b\ufffe\xff&#1;", "<Event><EventData>")
	f.Fuzz(func(t *testing.T, name, value, raw string) {
		if e, err := parseEvent(raw); err == nil && !json.Valid([]byte(e.data())) {
			t.Errorf("%q became %s", raw, e.data())
		}
		var s strings.Builder
		s.WriteString("<Event><System><EventID>1</EventID><TimeCreated SystemTime='x'/></System><EventData><Data Name='")
		_ = xml.EscapeText(&s, []byte(name))
		s.WriteString("'>")
		_ = xml.EscapeText(&s, []byte(value))
		s.WriteString("</Data></EventData></Event>")
		e, err := parseEvent(s.String())
		if err != nil {
			t.Fatal(err)
		}
		name, value = strings.Map(legalRune, name), strings.Map(legalRune, value)
		var want any = map[string]any{name: value}
		if name == "" {
			want = []any{value}
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(e.data()), &got); err != nil {
			t.Fatal(err)
		}
		if !cmp.Equal(got["EventData"], want) {
			t.Errorf("%q=%q became %s", name, value, e.data())
		}
	})
}

// TestEventLimit: an event that SQLite will drop must not count.
func TestEventLimit(t *testing.T) {
	for _, c := range []struct {
		want        int
		constraints []facts.Constraint
	}{
		{7, []facts.Constraint{equal("channel", "Security"), equal("eventid", "4625"), equal("timestamp", "86400000")}},
		{0, []facts.Constraint{equal("channel", "Security"), equal("level", "0")}},
		{0, []facts.Constraint{equal("channel", "Security"), like("eventid", "4%")}},
	} {
		if got := eventLimit(facts.Query{Constraints: c.constraints, Limit: 7}); got != c.want {
			t.Errorf("%v: %d", c.constraints, got)
		}
	}
}

package builtin

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// windowsEvent is what we read of an event's XML
// (http://schemas.microsoft.com/win/2004/08/events/event).
type windowsEvent struct {
	Provider struct {
		Name string `xml:"Name,attr"`
		GUID string `xml:"Guid,attr"`
	} `xml:"System>Provider"`
	ID       string `xml:"System>EventID"`
	Level    string `xml:"System>Level"`
	Task     string `xml:"System>Task"`
	Keywords string `xml:"System>Keywords"`
	Created  struct {
		Time string `xml:"SystemTime,attr"`
	} `xml:"System>TimeCreated"`
	Execution struct {
		PID string `xml:"ProcessID,attr"`
		TID string `xml:"ThreadID,attr"`
	} `xml:"System>Execution"`
	Computer  string     `xml:"System>Computer"`
	EventData *eventNode `xml:"EventData"`
	UserData  *eventNode `xml:"UserData"`
}

// eventNode is an element of any name.
type eventNode struct {
	XMLName  xml.Name
	Name     string      `xml:"Name,attr"`
	Text     string      `xml:",chardata"`
	Children []eventNode `xml:",any"`
}

// parseEvent reads one event as EvtRender gives it. Characters that XML does
// not allow, which a program can write into its events, become U+FFFD.
func parseEvent(text string) (windowsEvent, error) {
	var e windowsEvent
	if err := xml.Unmarshal([]byte(legalXML(text)), &e); err != nil {
		return e, fmt.Errorf("parse an event: %w", err)
	}
	if e.ID == "" || e.Created.Time == "" {
		return e, fmt.Errorf("parse an event: it has no id or no time")
	}
	return e, nil
}

var charRef = regexp.MustCompile(`&#(x[0-9A-Fa-f]+|[0-9]+);`)

// legalXML replaces what an XML parser refuses, written plainly or as a
// reference such as &#x1;.
func legalXML(text string) string {
	return charRef.ReplaceAllStringFunc(strings.Map(legalRune, text), func(ref string) string {
		digits, base := ref[2:len(ref)-1], 10
		if digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		n, err := strconv.ParseInt(digits, base, 32)
		if err != nil || legalRune(rune(n)) != rune(n) {
			return string(utf8.RuneError)
		}
		return ref
	})
}

func legalRune(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune {
		return r
	}
	return utf8.RuneError
}

// row is the event as osquery's windows_eventlog has it.
func (e windowsEvent) row() muster.Row {
	orMinusOne := func(s string) string {
		if s == "" {
			return "-1"
		}
		return s
	}
	return muster.Row{
		"datetime": e.Created.Time, "task": orMinusOne(e.Task), "level": orMinusOne(e.Level), "provider_name": e.Provider.Name,
		"provider_guid": e.Provider.GUID, "computer_name": e.Computer, "eventid": e.ID, "keywords": e.Keywords,
		"pid": orMinusOne(e.Execution.PID), "tid": orMinusOne(e.Execution.TID), "data": e.data(),
	}
}

// data writes what the event says as JSON, in osquery's form: all values are
// texts, <Data Name="x"> is the member x, and Data without names are a list.
// Unlike osquery's it leaves attributes out and keeps members that repeat.
func (e windowsEvent) data() string {
	var all []eventNode
	for _, n := range []*eventNode{e.EventData, e.UserData} {
		if n != nil {
			all = append(all, *n)
		}
	}
	return string(appendObject(nil, all))
}

func appendNode(b []byte, n eventNode) []byte {
	if len(n.Children) == 0 {
		return appendText(b, n.Text)
	}
	for _, c := range n.Children {
		if c.XMLName.Local != "Data" || c.Name != "" {
			return appendObject(b, n.Children)
		}
	}
	return appendList(b, n.Children)
}

// appendObject writes elements as one object; those of one name become a list.
func appendObject(b []byte, nodes []eventNode) []byte {
	var keys []string
	members := map[string][]eventNode{}
	for _, n := range nodes {
		key := n.XMLName.Local
		if key == "Data" && n.Name != "" {
			key = n.Name
		}
		if members[key] == nil {
			keys = append(keys, key)
		}
		members[key] = append(members[key], n)
	}
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, key), ':')
		if list := members[key]; len(list) > 1 {
			b = appendList(b, list)
		} else {
			b = appendNode(b, list[0])
		}
	}
	return append(b, '}')
}

func appendList(b []byte, nodes []eventNode) []byte {
	b = append(b, '[')
	for i, n := range nodes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNode(b, n)
	}
	return append(b, ']')
}

func appendText(b []byte, s string) []byte {
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text can always be written
	return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}

// eventXPath is the part of a query that the event log answers itself: event
// id, process id, and a window of time, which is timestamp (at most so many
// milliseconds old) or time_range (start, or start;end, in RFC 3339).
func eventXPath(q facts.Query) (string, error) {
	var parts []string
	for column, form := range map[string]string{
		"eventid": "(EventID=%d)", "pid": "Execution[@ProcessID=%d]", "timestamp": "TimeCreated[timediff(@SystemTime) <= %d]",
	} {
		value, ok := q.Equals(column)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return "", fmt.Errorf("%s %q is no whole number", column, value)
		}
		parts = append(parts, fmt.Sprintf(form, n))
	}
	if window, ok := q.Equals("time_range"); ok {
		start, end, bounded := strings.Cut(window, ";")
		from, err := time.Parse(time.RFC3339, start)
		if err != nil {
			return "", fmt.Errorf("time_range %q: write start;end, each like 2026-11-03T00:00:00Z", window)
		}
		const form = "2006-01-02T15:04:05.000Z"
		part := "@SystemTime>='" + from.UTC().Format(form) + "'"
		if bounded {
			to, err := time.Parse(time.RFC3339, end)
			if err != nil {
				return "", fmt.Errorf("time_range %q: write start;end, each like 2026-11-03T00:00:00Z", window)
			}
			part += " and @SystemTime<='" + to.UTC().Format(form) + "'"
		}
		parts = append(parts, "TimeCreated["+part+"]")
	}
	if len(parts) == 0 {
		return "*", nil
	}
	return "*[System[" + strings.Join(parts, " and ") + "]]", nil
}

// eventLimit is how many of the newest events are enough, or 0: the limit is
// only for those that the event log selects itself.
func eventLimit(q facts.Query) int {
	for _, c := range q.Constraints {
		if c.Op != facts.Equal || !slices.Contains([]string{"channel", "eventid", "pid", "timestamp", "time_range"}, c.Column) {
			return 0
		}
	}
	return q.Limit
}

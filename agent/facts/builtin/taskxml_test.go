package builtin

import (
	"encoding/xml"
	"os"
	"strings"
	"testing"
)

func TestParseTask(t *testing.T) {
	b, err := os.ReadFile("testdata/task.xml")
	if err != nil {
		t.Fatal(err)
	}
	task, err := parseTask(string(b))
	if err != nil {
		t.Fatal(err)
	}
	want := ` "C:\Program Files (x86)\Example\updater.exe" --wake --system,C:\Tools cleanup.cmd `
	if task.action() != want || !task.Hidden {
		t.Errorf("got %q hidden %v", task.action(), task.Hidden)
	}
}

func TestParseTaskRefuses(t *testing.T) {
	for _, bad := range []string{"", "<Task>", "no xml"} {
		if _, err := parseTask(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// FuzzParseTask: a command that goes in comes out.
func FuzzParseTask(f *testing.F) {
	f.Add(`C:\a.exe`, "-x", "")
	f.Fuzz(func(t *testing.T, command, arguments, raw string) {
		_, _ = parseTask(raw)
		var s strings.Builder
		s.WriteString("<Task><Actions><Exec><Command>")
		_ = xml.EscapeText(&s, []byte(command))
		s.WriteString("</Command><Arguments>")
		_ = xml.EscapeText(&s, []byte(arguments))
		s.WriteString("</Arguments></Exec></Actions></Task>")
		task, err := parseTask(s.String())
		if err != nil {
			t.Fatal(err)
		}
		if len(task.Execs) != 1 {
			t.Fatalf("%d programs", len(task.Execs))
		}
		var c, a strings.Builder
		_ = xml.EscapeText(&c, []byte(task.Execs[0].Command))
		_ = xml.EscapeText(&a, []byte(task.Execs[0].Arguments))
		if !strings.Contains(s.String(), "<Command>"+c.String()+"<") || !strings.Contains(s.String(), "<Arguments>"+a.String()+"<") {
			t.Errorf("%q %q became %q", command, arguments, task.action())
		}
	})
}

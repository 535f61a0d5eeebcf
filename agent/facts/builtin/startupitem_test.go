package builtin

import (
	"strings"
	"testing"
)

func TestStartupCommand(t *testing.T) {
	there := map[string]bool{`C:\Program Files\A\a.exe`: true, `C:\b.exe`: true}
	exists := func(path string) bool { return there[path] }
	for _, c := range []struct{ line, program, args string }{
		{`"C:\Program Files\A\a.exe" /background -x "y z"`, `C:\Program Files\A\a.exe`, `/background -x "y z"`},
		{`C:\Program Files\A\a.exe /background`, `C:\Program Files\A\a.exe`, `/background`},
		{`C:\Program Files\A\a.exe`, `C:\Program Files\A\a.exe`, ""},
		{`C:\b.exe  one two`, `C:\b.exe`, "one two"},
		{`gone.exe -x`, "gone.exe", "-x"},
		{`"unclosed`, "unclosed", ""},
		{"", "", ""},
	} {
		if program, args := startupCommand(c.line, exists); program != c.program || args != c.args {
			t.Errorf("%s: got %q %q", c.line, program, args)
		}
	}
}

func TestStartupEnabled(t *testing.T) {
	for approved, want := range map[string]bool{
		"": true, "020000000000000000000000": true, "060000000000000000000000": true,
		"03000000A1B2C3D4E5F6DA01": false, "07000000A1B2C3D4E5F6DA01": false,
	} {
		if got := startupEnabled(approved); got != want {
			t.Errorf("%q: got %v", approved, got)
		}
	}
}

// FuzzStartupCommand: program and arguments are parts of the line, in order.
func FuzzStartupCommand(f *testing.F) {
	f.Add(`"C:\a b.exe" -x`)
	f.Add(`C:\a b.exe -x`)
	f.Fuzz(func(t *testing.T, line string) {
		program, args := startupCommand(line, func(p string) bool { return strings.HasSuffix(p, ".exe") })
		i := strings.Index(line, program)
		if i < 0 || !strings.Contains(line[i+len(program):], args) {
			t.Errorf("%q became %q and %q", line, program, args)
		}
	})
}

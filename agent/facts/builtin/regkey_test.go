package builtin

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	_ "modernc.org/sqlite"
)

func utf16Bytes(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func TestRegData(t *testing.T) {
	for _, c := range []struct {
		typ  uint32
		data []byte
		want string
	}{
		{0, nil, "(zero-length binary value)"},
		{1, utf16Bytes("Professional\x00"), "Professional"},
		{1, utf16Bytes("unterminated"), "unterminated"},
		{1, nil, ""},
		{2, utf16Bytes(`%SystemRoot%\x` + "\x00"), `%SystemRoot%\x`},
		{3, []byte{0x0a, 0xff}, "0AFF"},
		{4, []byte{0xff, 0xff, 0xff, 0xff}, "-1"},
		{4, []byte{1, 0, 0, 0}, "1"},
		{4, []byte{1}, ""},
		{5, []byte{0, 0, 1, 0}, "256"},
		{7, utf16Bytes("a\x00b\x00\x00"), "a,b"},
		{7, utf16Bytes("\x00"), ""},
		{11, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "18446744073709551615"},
		{99, []byte{1}, ""},
	} {
		if got := regData(c.typ, c.data); got != c.want {
			t.Errorf("%s %x: got %q, want %q", regType(c.typ), c.data, got, c.want)
		}
	}
	if got := regType(4); got != "REG_DWORD" {
		t.Error(got)
	}
	if got := regType(10); got != "UNKNOWN" {
		t.Error(got)
	}
}

// keys is a registry of a few keys, written as paths.
type keys []string

func (k keys) subkeys(key string) ([]string, error) {
	var names []string
	for _, path := range k {
		if rest, ok := strings.CutPrefix(path, key+`\`); ok {
			name, _, _ := strings.Cut(rest, `\`)
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

func TestRegPatternExpand(t *testing.T) {
	tree := keys{
		`HKEY_USERS\.DEFAULT\Software\A`, `HKEY_USERS\S-1-5-21-1\Software\A`, `HKEY_USERS\S-1-5-21-1\Software\B\C`,
		`HKEY_USERS\S-1-5-21-1\Software\DomainProfile`, `HKEY_USERS\S-1-5-21-1\Software\PublicProfile\Log`,
	}
	for _, c := range []struct {
		pattern string
		want    []string
	}{
		{`HKEY_USERS\S-1-5-21-1\Software\A`, []string{`HKEY_USERS\S-1-5-21-1\Software\A`}},
		{`HKEY_USERS\%\Software\A`, []string{`HKEY_USERS\.DEFAULT\Software\A`, `HKEY_USERS\S-1-5-21-1\Software\A`}},
		{`HKEY_USERS\s-1-5-21%\Software\%profile`, []string{`HKEY_USERS\S-1-5-21-1\Software\DomainProfile`, `HKEY_USERS\S-1-5-21-1\Software\PublicProfile`}},
		// One % is one level, as in osquery.
		{`HKEY_USERS\.DEFAULT\%`, []string{`HKEY_USERS\.DEFAULT\Software`}},
		{`HKEY_USERS\S-1-5-21-1\%%`, []string{
			`HKEY_USERS\S-1-5-21-1`, `HKEY_USERS\S-1-5-21-1\Software`, `HKEY_USERS\S-1-5-21-1\Software\A`,
			`HKEY_USERS\S-1-5-21-1\Software\B`, `HKEY_USERS\S-1-5-21-1\Software\B\C`,
			`HKEY_USERS\S-1-5-21-1\Software\DomainProfile`, `HKEY_USERS\S-1-5-21-1\Software\PublicProfile`,
			`HKEY_USERS\S-1-5-21-1\Software\PublicProfile\Log`,
		}},
		{`HKEY_USERS\none\%`, nil},
		{`HKEY_USERS`, []string{`HKEY_USERS`}},
	} {
		var got []string
		err := parseRegPattern(c.pattern).expand(tree.subkeys, func(key string) error {
			got = append(got, key)
			return nil
		})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q %v, want %q", c.pattern, got, err, c.want)
		}
	}
}

func TestRegPatternExpandStops(t *testing.T) {
	denied := errors.New("denied")
	p := parseRegPattern(`HKEY_USERS\%\Software`)
	if err := p.expand(func(string) ([]string, error) { return nil, denied }, nil); !errors.Is(err, denied) {
		t.Error(err)
	}
	tree := keys{`HKEY_USERS\a`}
	if err := p.expand(tree.subkeys, func(string) error { return denied }); !errors.Is(err, denied) {
		t.Error(err)
	}
}

// FuzzSQLLike: our LIKE is SQLite's.
func FuzzSQLLike(f *testing.F) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { db.Close() })
	for _, c := range [][2]string{
		{"%Profile", "DomainProfile"}, {"%profile", "PROFILES"}, {"S-1-5-21-%", "s-1-5-21-1"}, {"a_c%", "abcd"}, {"", ""}, {"%", ""},
		{"%a%b%", "xaxbx"}, {"_", "é"}, {"É", "é"}, {"%%", "x"},
	} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) || strings.ContainsRune(pattern+s, 0) {
			return
		}
		var want bool
		if err := db.QueryRow("SELECT ? LIKE ?", s, pattern).Scan(&want); err != nil {
			return // SQLite refuses patterns that are too long
		}
		if got := sqlLike(pattern, s); got != want {
			t.Errorf("%q LIKE %q: got %v, SQLite says %v", s, pattern, got, want)
		}
	})
}

// FuzzRegData: numbers are numbers, bytes keep their length, texts end at NUL.
func FuzzRegData(f *testing.F) {
	for typ := range uint32(13) {
		f.Add(typ, utf16Bytes("a\x00b\x00\x00"))
	}
	f.Fuzz(func(t *testing.T, typ uint32, data []byte) {
		got := regData(typ, data)
		if strings.ContainsRune(got, 0) {
			t.Errorf("%q has a NUL", got)
		}
		if regType(typ) == "REG_BINARY" && len(got) != 2*len(data) {
			t.Errorf("%d bytes became %q", len(data), got)
		}
	})
}

func TestMSIGUID(t *testing.T) {
	if got := msiGUID("2CCAB6107DB47314AB175756630CCD04"); got != "{016BACC2-4BD7-4137-BA71-756536C0DC40}" {
		t.Error(got)
	}
	for _, bad := range []string{"", "2CCAB610", strings.Repeat("G", 32), strings.Repeat("é", 16)} {
		if got := msiGUID(bad); got != "" {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

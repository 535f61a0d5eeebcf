package api

import (
	"encoding"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/passmuster/muster"
)

// accepts tells the format that the header asks for first.
func accepts(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("Accept"), ",")
	if media, _, err := mime.ParseMediaType(first); err == nil && media == typeCSV {
		return "csv"
	}
	return "json"
}

// serveCSV gives a whole list, a page at a time, as RFC 4180 has it.
func serveCSV[T any](c *call, w http.ResponseWriter, read func(*call) (T, error)) error {
	c.query.Set("format", "csv")
	if slices.ContainsFunc(c.takes, func(p param) bool { return p.name == asOf.name }) {
		c.pin()
	}
	if !c.query.Has("limit") {
		c.limit = MaxLimit
	}
	return c.serveFile(w, typeCSV+"; charset=utf-8; header=present", ".csv", func(out io.Writer) error {
		columns := columnsOf(reflect.TypeFor[T]().Field(0).Type.Elem(), "", nil)
		cells := make([]string, len(columns))
		for i, col := range columns {
			cells[i] = col.name
		}
		err := writeRow(out, cells)
		for err == nil {
			v, failed := read(c)
			if failed != nil {
				return failed
			}
			rows := reflect.ValueOf(v).Field(0)
			for i := 0; i < rows.Len() && err == nil; i++ {
				for n, col := range columns {
					cells[n] = col.cell(rows.Index(i))
				}
				err = writeRow(out, cells)
			}
			m, paged := any(&v).(interface{ more() *More })
			if !paged || m.more().Next == "" {
				break
			}
			c.after = m.more().Next
		}
		return err
	})
}

// column is a field of a row, or of a struct in it.
type column struct {
	name string
	at   []int
}

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

// columnsOf are the fields of a struct, by their names in JSON; those of a struct in
// it have its name before theirs.
func columnsOf(t reflect.Type, prefix string, at []int) []column {
	var list []column
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		path := append(slices.Clone(at), i)
		switch {
		case inner.Kind() == reflect.Struct && !inner.Implements(textMarshaler) && f.Anonymous && name == "":
			list = append(list, columnsOf(inner, prefix, path)...)
		case inner.Kind() == reflect.Struct && !inner.Implements(textMarshaler):
			list = append(list, columnsOf(inner, prefix+name+"_", path)...)
		default:
			list = append(list, column{prefix + name, path})
		}
	}
	return list
}

// cell is what a column has of a row: "" for a time that is not set and for what is
// not there, JSON for a list.
func (col column) cell(row reflect.Value) string {
	v, err := row.FieldByIndexErr(col.at)
	if err != nil { // a nil pointer on the way
		return ""
	}
	switch x := v.Interface().(type) {
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.UTC().Format(time.RFC3339Nano)
	case encoding.TextMarshaler:
		b, err := x.MarshalText()
		if err != nil {
			return ""
		}
		return string(b)
	}
	switch v.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return fmt.Sprint(v.Interface())
	}
	if v.IsZero() {
		return ""
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		return ""
	}
	return string(b)
}

// dangerous first characters: spreadsheets take what begins so for a formula. The
// apostrophe is one of them so that every defused cell can be told.
const dangerous = "=+-@\t\r\n＝＋－＠'"

// defuse makes a text of what a spreadsheet would compute. undefuse reverses it.
func defuse(s string) string {
	if first, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune(dangerous, first) {
		return "'" + s
	}
	return s
}

func undefuse(s string) string { return strings.TrimPrefix(s, "'") }

// writeRow writes a record.
func writeRow(out io.Writer, cells []string) error {
	var b strings.Builder
	for i, s := range cells {
		if i > 0 {
			b.WriteByte(',')
		}
		s = defuse(strings.ToValidUTF8(s, "\uFFFD"))
		if strings.ContainsAny(s, "\",\r\n") || s == "" || strings.TrimSpace(s) != s {
			s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
		}
		b.WriteString(s)
	}
	b.WriteString("\r\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// ParseExpected reads a list of expected hosts as CSV. Its first row names the columns:
// name is needed, profile and note may be there, others are not looked at.
func ParseExpected(r io.Reader) ([]muster.ExpectedHost, error) {
	in := csv.NewReader(r)
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the list is empty: its first row names the columns, for example name,profile,note")
	}
	if err != nil {
		return nil, fmt.Errorf("read the list: %w", err)
	}
	column := map[string]int{}
	for i, name := range header {
		if i == 0 {
			name = strings.TrimPrefix(name, "\uFEFF") // some spreadsheets begin so
		}
		column[strings.ToLower(strings.TrimSpace(name))] = i
	}
	if _, ok := column["name"]; !ok {
		return nil, errors.New("the list has no column name: its first row names the columns, for example name,profile,note")
	}
	list := []muster.ExpectedHost{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return list, checkExpected(list)
		}
		if err != nil {
			return nil, fmt.Errorf("read the list: %w", err)
		}
		field := func(name string) string {
			if i, ok := column[name]; ok {
				return strings.TrimSpace(undefuse(row[i]))
			}
			return ""
		}
		list = append(list, muster.ExpectedHost{Name: field("name"), Profile: muster.Profile(field("profile")), Note: field("note")})
	}
}

// Bounds of an expected host's texts, in bytes.
const (
	maxName = 255
	maxNote = 1000
)

// checkExpected says which entry of a list is wrong.
func checkExpected(list []muster.ExpectedHost) error {
	seen := map[string]bool{}
	for i, h := range list {
		name := strings.ToLower(strings.TrimSpace(h.Name))
		switch {
		case name == "" || len(h.Name) > maxName || !utf8.ValidString(h.Name) || strings.ContainsFunc(h.Name, unicode.IsControl):
			return fmt.Errorf("entry %d: name is not 1 to %d printable characters", i+1, maxName)
		case len(h.Note) > maxNote || !utf8.ValidString(h.Note) || strings.ContainsRune(h.Note, 0):
			return fmt.Errorf("entry %d (%s): the note is no text of up to %d characters", i+1, h.Name, maxNote)
		case seen[name]:
			return fmt.Errorf("entry %d: %s is there twice", i+1, h.Name)
		}
		seen[name] = true
		if h.Profile != "" {
			if _, err := muster.ParseProfile(string(h.Profile)); err != nil {
				return fmt.Errorf("entry %d (%s): %w", i+1, h.Name, err)
			}
		}
	}
	return nil
}

// Package recorded answers statements from a file of rows, so that any policy
// can be judged for any host on any machine, and writes such files.
//
// The file is JSON: "muster_recording" is the format's number, "recorded_at",
// "hostname", "platform", "profile" and "engine" say where the rows come from,
// "tables" holds them by table, and "unavailable" says of other tables why
// there are none. Every value is text, as osquery prints it. A table that is in
// neither is unavailable, never empty. Fields may be added to the format, and
// readers of version 1 refuse a file that has them.
package recorded

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/passmuster/muster"
)

// Version is the number of the format that this code reads and writes.
const Version = 1

// MaxBytes is the largest file that Open reads.
const MaxBytes = 256 << 20

// Recording is the rows of one host.
type Recording struct {
	Version    int             `json:"muster_recording"` // Version
	RecordedAt time.Time       `json:"recorded_at"`
	Hostname   string          `json:"hostname"`
	Platform   muster.Platform `json:"platform"`
	// Profile the host had; "" where the file does not say.
	Profile muster.Profile `json:"profile"`
	// GivenBy is the engine that gave the rows, for people: "osquery 5.23.1".
	GivenBy string `json:"engine"`
	// Unavailable says by table why there are no rows.
	Unavailable map[string]string `json:"unavailable"`
	// Tables by name; hidden columns may be left out of the rows.
	Tables map[string][]muster.Row `json:"tables"`
}

// Open reads a recording from a file.
func Open(path string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open recording: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read recording %s: %w", path, err)
	}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("recording %s is larger than %d MiB: record fewer facts", path, MaxBytes>>20)
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("recording %s: %w", path, err)
	}
	return r, nil
}

// Parse reads a recording. Its errors say which part is wrong and what it
// should be.
func Parse(data []byte) (*Recording, error) {
	// The version first: a newer file is not a malformed one.
	var head struct {
		Version *int `json:"muster_recording"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, explain(data, err)
	}
	switch {
	case head.Version == nil:
		return nil, errors.New(`"muster_recording" is missing: this is no file of muster facts record`)
	case *head.Version != Version:
		return nil, fmt.Errorf("it has version %d and this program reads version %d: record the host again, or update muster", *head.Version, Version)
	}
	var r Recording
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, explain(data, err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r *Recording) check() error {
	switch {
	case r.Platform != muster.Windows && r.Platform != muster.Linux:
		return fmt.Errorf("platform %q is not known: use windows or linux", r.Platform)
	case r.RecordedAt.IsZero():
		return errors.New(`"recorded_at" is missing: give the time of the recording, such as 2026-10-19T14:05:11Z`)
	case r.Tables == nil:
		return errors.New(`"tables" is missing: a recording without rows has an empty object there`)
	}
	if r.Profile != "" {
		if _, err := muster.ParseProfile(string(r.Profile)); err != nil {
			return err
		}
	}
	for name, rows := range r.Tables {
		if !isName(name) {
			return fmt.Errorf("table %q: a name has the characters a to z, 0 to 9 and _ only", name)
		}
		if _, both := r.Unavailable[name]; both {
			return fmt.Errorf(`table %s has rows and is "unavailable": remove one of the two`, name)
		}
		for i, row := range rows {
			if row == nil {
				return fmt.Errorf("table %s: row %d is null: write the row, or leave it out", name, i+1)
			}
			for column := range row {
				if !isName(column) {
					return fmt.Errorf("table %s: row %d: column %q: a name has the characters a to z, 0 to 9 and _ only", name, i+1, column)
				}
			}
		}
	}
	for name := range r.Unavailable {
		if !isName(name) {
			return fmt.Errorf("unavailable table %q: a name has the characters a to z, 0 to 9 and _ only", name)
		}
	}
	return nil
}

func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// explain says in which line JSON went wrong.
func explain(data []byte, err error) error {
	line := func(offset int64) int { return 1 + bytes.Count(data[:min(int(offset), len(data))], []byte("\n")) }
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: not valid JSON: %w", line(syntax.Offset), err)
	case errors.As(err, &typ) && typ.Field == "":
		return fmt.Errorf("line %d: want a JSON object, found %s", line(typ.Offset), typ.Value)
	case errors.As(err, &typ) && typ.Type.Kind() == reflect.String:
		return fmt.Errorf(`line %d: %s: want text, found %s: every value stands between quotation marks, "1" and not 1`, line(typ.Offset), typ.Field, typ.Value)
	case errors.As(err, &typ):
		return fmt.Errorf("line %d: %s: want %s, found %s", line(typ.Offset), typ.Field, typ.Type, typ.Value)
	default:
		return fmt.Errorf("not a recording: %w", err)
	}
}

// WriteTo writes the recording as JSON, one row a line, in a stable order.
func (r *Recording) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	field := func(name string, v any) {
		fmt.Fprintf(&b, "%q: %s,\n", name, text(v))
	}
	b.WriteString("{\n")
	field("muster_recording", r.Version)
	field("recorded_at", r.RecordedAt.UTC().Format(time.RFC3339))
	field("hostname", r.Hostname)
	field("platform", r.Platform)
	field("profile", r.Profile)
	field("engine", r.GivenBy)
	unavailable := r.Unavailable
	if unavailable == nil {
		unavailable = map[string]string{}
	}
	field("unavailable", unavailable)
	b.WriteString(`"tables": {`)
	for i, name := range slices.Sorted(maps.Keys(r.Tables)) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n%s: [", text(name))
		for j, row := range r.Tables[name] {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "\n%s", text(row))
		}
		if len(r.Tables[name]) > 0 {
			b.WriteByte('\n')
		}
		b.WriteByte(']')
	}
	b.WriteString("\n}\n}\n")
	return b.WriteTo(w)
}

// text is v as JSON in one line; v is text, numbers and maps of text.
func text(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(v) != nil {
		return []byte("null")
	}
	return bytes.TrimSpace(b.Bytes())
}

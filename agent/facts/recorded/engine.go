package recorded

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// unavailable is why a table has no rows.
type unavailable string

func (u unavailable) Error() string        { return string(u) }
func (u unavailable) Is(target error) bool { return target == facts.ErrUnavailable }

// Engine answers statements from the recording. It knows every table of the
// schema, so that the answer for one that was not recorded says so.
func (r *Recording) Engine(schema *facts.Schema) (facts.Engine, error) {
	var tables []facts.Table
	for _, name := range schema.Names() {
		if rows, ok := r.Tables[name]; ok {
			d, _ := schema.Table(name)
			tables = append(tables, r.table(d, rows))
			continue
		}
		tables = append(tables, r.missing(schema, name))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Tables)) {
		if _, known := schema.Table(name); !known {
			tables = append(tables, r.table(facts.Definition{Name: name}, r.Tables[name]))
		}
	}
	e, err := facts.NewSQL("recorded", r.Platform, tables)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (r *Recording) missing(schema *facts.Schema, name string) facts.Table {
	d, _ := schema.Table(name)
	reason, ok := r.Unavailable[name]
	if !ok {
		reason = "not in the recording"
	}
	return facts.Table{
		Name: name, Columns: d.Columns, Platforms: []muster.Platform{r.Platform},
		Rows: func(context.Context, facts.Query, func(muster.Row) error) error { return unavailable(reason) },
	}
}

func (r *Recording) table(d facts.Definition, rows []muster.Row) facts.Table {
	columns, recorded := slices.Clone(d.Columns), map[string]bool{}
	for _, row := range rows {
		for name := range row {
			recorded[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(recorded)) {
		if !slices.ContainsFunc(columns, func(c facts.Column) bool { return c.Name == name }) {
			columns = append(columns, facts.Column{Name: name, Type: "text"})
		}
	}
	return facts.Table{
		Name: d.Name, Columns: columns, Platforms: []muster.Platform{r.Platform}, Source: "recording",
		Rows: func(_ context.Context, q facts.Query, emit func(muster.Row) error) error {
			for _, row := range rows {
				if !reached(d.Name, row, q) {
					continue
				}
				if err := emit(asCompared(row, columns, recorded, q)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// asCompared lends hidden columns that were not recorded the value they are
// compared with: they steer a live table (windows_eventlog.timestamp) and the
// recording is what it gave.
func asCompared(row muster.Row, columns []facts.Column, recorded map[string]bool, q facts.Query) muster.Row {
	lent := row
	for _, c := range columns {
		if !c.Hidden || recorded[c.Name] {
			continue
		}
		if value, ok := q.Equals(c.Name); ok {
			if len(lent) == len(row) {
				lent = maps.Clone(row)
			}
			lent[c.Name] = value
		}
	}
	return lent
}

// reached reports whether a live table would give the row for the pattern: in
// paths % stands for one level there, and only %% for any number.
func reached(table string, row muster.Row, q facts.Query) bool {
	separator := map[string]string{"registry": `\`, "file": `/\`, "hash": `/\`, "augeas": "/", "authenticode": `\`}[table]
	if separator == "" {
		return true
	}
	for _, c := range q.Constraints {
		if c.Op != facts.Like || c.Column != "path" && c.Column != "key" && c.Column != "directory" {
			continue
		}
		if strings.Contains(c.Value, "%%") {
			continue // SQLite compares the rest
		}
		if levels(c.Value, separator) != levels(row[c.Column], separator) {
			return false
		}
	}
	return true
}

// levels counts the parts of a path.
func levels(path, separators string) int {
	n := 0
	for _, r := range path {
		if strings.ContainsRune(separators, r) {
			n++
		}
	}
	return n
}

// String names the recording for people.
func (r *Recording) String() string {
	return fmt.Sprintf("%s (%s), recorded %s", r.Hostname, r.Platform, r.RecordedAt.Format("2006-01-02"))
}

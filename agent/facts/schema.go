package facts

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/passmuster/muster"
)

//go:embed osquery-schema.json
var osquerySchema []byte

// The muster_ tables of every operating system, because a statement for one
// is checked on the other.
//
//go:embed muster-schema.txt
var musterSchema string

// OsqueryVersion is the release whose tables the schema holds.
const OsqueryVersion = "5.23.1"

// Schema is every table that a statement may name: those of osquery and those
// of Muster. It is safe for concurrent use.
type Schema struct {
	mu      sync.Mutex
	osquery map[string]json.RawMessage
	tables  map[string]*Definition // decoded so far
	engine  *SQL                   // compiles statements, never runs one
	checked map[string]checked
}

// Definition is what a statement may know of a table.
type Definition struct {
	Name      string
	Columns   []Column
	Platforms []muster.Platform
	// Indexed names the columns that a live table wants a constraint on, because
	// without one it gives only a part (registry) or nothing (file).
	Indexed []string
}

// Close frees the memory that Check works in.
func (s *Schema) Close() error { return s.engine.Close() }

// NewSchema is osquery's schema, the muster_ tables of the builtin engine on
// every platform, and any further tables that a caller has.
func NewSchema(further []Table) (*Schema, error) {
	var file struct {
		Tables map[string]json.RawMessage `json:"tables"`
	}
	if err := json.Unmarshal(osquerySchema, &file); err != nil {
		return nil, fmt.Errorf("read osquery schema: %w", err)
	}
	s := &Schema{osquery: file.Tables, tables: map[string]*Definition{}, checked: map[string]checked{}}
	for line := range strings.Lines(musterSchema) {
		s.add(parseDefinition(line))
	}
	for _, t := range further {
		s.add(&Definition{Name: t.Name, Columns: t.Columns, Platforms: t.Platforms})
	}
	var err error
	s.engine, err = open("schema", func(name string) *Table {
		if d, ok := s.lookup(name); ok {
			return &Table{Name: d.Name, Columns: d.Columns}
		}
		return nil
	})
	return s, err
}

// add takes a table that osquery does not have. A table of both platforms may
// come twice, each time with the columns of one.
func (s *Schema) add(d *Definition) {
	if _, known := s.osquery[d.Name]; known {
		return
	}
	for _, c := range d.Columns {
		if c.Required {
			d.Indexed = append(d.Indexed, c.Name)
		}
	}
	if known := s.tables[d.Name]; known != nil {
		d.Platforms = slices.Concat(known.Platforms, d.Platforms)
		slices.Sort(d.Platforms)
		d.Platforms = slices.Compact(d.Platforms)
		d.Columns = slices.Clone(d.Columns)
		for _, c := range known.Columns {
			if !slices.ContainsFunc(d.Columns, func(own Column) bool { return own.Name == c.Name }) {
				d.Columns = append(d.Columns, c)
			}
		}
	}
	s.tables[d.Name] = d
}

// parseDefinition reads a line of muster-schema.txt, such as
// "muster_x linux,windows: path text required, size bigint".
func parseDefinition(line string) *Definition {
	head, list, _ := strings.Cut(line, ":")
	name, platforms, _ := strings.Cut(head, " ")
	d := &Definition{Name: name}
	for p := range strings.SplitSeq(platforms, ",") {
		d.Platforms = append(d.Platforms, muster.Platform(p))
	}
	for item := range strings.SplitSeq(list, ",") {
		if words := strings.Fields(item); len(words) >= 2 {
			d.Columns = append(d.Columns, Column{
				Name: words[0], Type: words[1],
				Required: slices.Contains(words[2:], "required"), Hidden: slices.Contains(words[2:], "hidden"),
			})
		}
	}
	return d
}

// Table looks a table up by its name.
func (s *Schema) Table(name string) (Definition, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.lookup(name)
	if !ok {
		return Definition{}, false
	}
	return *d, true
}

// Names lists every table in alphabetical order.
func (s *Schema) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.Collect(maps.Keys(s.osquery))
	for name := range s.tables {
		if _, known := s.osquery[name]; !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *Schema) lookup(name string) (*Definition, bool) {
	if d := s.tables[name]; d != nil {
		return d, true
	}
	raw, ok := s.osquery[name]
	if !ok {
		return nil, false
	}
	var t struct {
		Platforms []muster.Platform `json:"platforms"`
		UserData  bool              `json:"user_data"`
		Columns   []struct {
			Name       string `json:"name"`
			Type       string `json:"type"`
			Required   bool   `json:"required"`
			Hidden     bool   `json:"hidden"`
			Index      bool   `json:"index"`
			Additional bool   `json:"additional"`
		} `json:"columns"`
	}
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, false
	}
	d := &Definition{Name: name, Platforms: t.Platforms}
	partial := t.UserData || BuiltinOnly(name)
	for _, c := range t.Columns {
		d.Columns = append(d.Columns, Column{Name: c.Name, Type: c.Type, Required: c.Required, Hidden: c.Hidden})
		partial = partial || c.Required
	}
	if partial {
		for _, c := range t.Columns {
			if c.Required || c.Index || c.Additional {
				d.Indexed = append(d.Indexed, c.Name)
			}
		}
	}
	s.tables[name] = d
	return d, true
}

package recorded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// Live is the host that is recorded. facts.Gatherer is one.
type Live interface {
	// Query returns the rows of a statement and the name of the engine.
	Query(ctx context.Context, statement string) ([]muster.Row, string, error)
}

// Record asks every fact and keeps the rows that its tables gave. A table that
// can be read whole is kept whole; of one that cannot, such as file or
// registry, what the statements reach. Head says whose rows they are; its
// Platform chooses the statements. A table that a fact could not read is
// unavailable in the recording, with the reason. Every value passes the
// redactions. An error means that a statement is wrong, or that ctx ended.
func Record(ctx context.Context, live Live, schema *facts.Schema, list []muster.Fact, head Recording, redactions []Redaction) (*Recording, error) {
	r := &recorder{live: live, asked: map[string]scan{}, kept: map[string]map[string]bool{}, redactions: redactions, out: &head}
	head.Version, head.Unavailable, head.Tables = Version, map[string]string{}, map[string][]muster.Row{}
	var tables []facts.Table
	for _, name := range schema.Names() {
		d, _ := schema.Table(name)
		tables = append(tables, r.proxy(d, head.Platform))
	}
	engine, err := facts.NewSQL("recorder", head.Platform, tables)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	for _, f := range list {
		statement, ok := f.SQL[head.Platform]
		if !ok {
			continue
		}
		if _, err := schema.Check(statement); err != nil {
			return nil, fmt.Errorf("record fact %s: %w", f.Name, err)
		}
		r.failed = ""
		_, err := engine.Query(ctx, statement, facts.DefaultRowLimit)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("record fact %s: %w", f.Name, ctx.Err())
		}
		if err != nil && r.failed == "" {
			return nil, fmt.Errorf("record fact %s: %w", f.Name, err)
		}
	}
	for name := range head.Unavailable {
		delete(head.Tables, name) // part of a table would pass for the whole
	}
	head.GivenBy = strings.Join(slices.Sorted(maps.Keys(r.engines())), ", ")
	return &head, nil
}

type recorder struct {
	live       Live
	asked      map[string]scan            // by statement
	kept       map[string]map[string]bool // by table, rows that are in out
	redactions []Redaction
	failed     string // the table that failed the fact in progress
	out        *Recording
}

// scan is what the live host answered once.
type scan struct {
	rows   []muster.Row
	engine string
	err    error
}

func (r *recorder) engines() map[string]bool {
	names := map[string]bool{}
	for _, s := range r.asked {
		if s.err == nil {
			names[strings.Replace(s.engine, "builtin", "muster "+muster.Version, 1)] = true
		}
	}
	return names
}

// proxy is a table that passes its scans on to the live host.
func (r *recorder) proxy(d facts.Definition, platform muster.Platform) facts.Table {
	return facts.Table{
		Name: d.Name, Columns: d.Columns, Platforms: []muster.Platform{platform},
		Rows: func(ctx context.Context, q facts.Query, emit func(muster.Row) error) error {
			s := r.ask(ctx, d, q)
			if s.err != nil {
				return s.err
			}
			for _, row := range s.rows {
				if err := emit(asCompared(row, d.Columns, nil, q)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (r *recorder) ask(ctx context.Context, d facts.Definition, q facts.Query) scan {
	statement := scanStatement(d, q)
	s, ok := r.asked[statement]
	if !ok {
		s.rows, s.engine, s.err = r.live.Query(ctx, statement)
		r.asked[statement] = s
	}
	switch {
	case s.err == nil:
		r.keep(d.Name, s.rows)
	case ctx.Err() == nil:
		r.failed = d.Name
		r.out.Unavailable[d.Name] = reason(s.err)
	}
	return s
}

func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	return strings.ToValidUTF8(err.Error(), "\uFFFD")
}

// scanStatement asks for the whole table, or for what the constraints reach
// where the table wants one.
func scanStatement(d facts.Definition, q facts.Query) string {
	var where []string
	for _, c := range q.Constraints {
		if slices.Contains(d.Indexed, c.Column) {
			op := map[facts.Op]string{facts.Equal: "=", facts.Like: "LIKE"}[c.Op]
			where = append(where, fmt.Sprintf(`"%s" %s '%s'`, c.Column, op, strings.ReplaceAll(c.Value, "'", "''")))
		}
	}
	statement := "SELECT * FROM " + d.Name
	if len(where) > 0 {
		statement += " WHERE " + strings.Join(where, " AND ")
	}
	return statement
}

// keep adds rows that are not there yet.
func (r *recorder) keep(table string, rows []muster.Row) {
	seen := r.kept[table]
	if seen == nil {
		seen = map[string]bool{}
		r.kept[table] = seen
		r.out.Tables[table] = []muster.Row{}
	}
	var fresh []muster.Row
	// Equal rows of one scan are all kept; of two scans they are the same row.
	for _, row := range rows {
		if !seen[string(text(row))] {
			fresh = append(fresh, row)
		}
	}
	for _, row := range fresh {
		seen[string(text(row))] = true
		r.out.Tables[table] = append(r.out.Tables[table], redact(r.redactions, table, row))
	}
}

// Redaction replaces text in a column before it is written.
type Redaction struct {
	// Table is the table's name; "" means every table.
	Table  string
	Column string
	// Pattern is what is replaced, and Replacement what takes its place, with
	// $1 and ${name} for parts of the pattern.
	Pattern     *regexp.Regexp
	Replacement string
}

const redacted = "[redacted]"

// DefaultRedactions hold back what no control needs and nobody should mail
// around: the arguments of commands, which may be passwords, and the serial
// numbers of the computer. Serial numbers of disks stay, because the media
// register names them. Stored passwords never get this far.
func DefaultRedactions() []Redaction {
	list := []Redaction{{
		Column:      "cmdline",
		Pattern:     regexp.MustCompile(`(?s)^("[^"]*"|\S+)\s.*`),
		Replacement: "$1 " + redacted,
	}}
	for _, c := range []string{"system_info.hardware_serial", "system_info.board_serial", "chassis_info.serial", "battery.serial_number"} {
		table, column, _ := strings.Cut(c, ".")
		list = append(list, Redaction{table, column, regexp.MustCompile(`(?s).+`), redacted})
	}
	return list
}

// ParseRedaction reads "column=pattern" or "table.column=pattern", the pattern
// a regular expression in RE2's syntax. What matches becomes "[redacted]".
func ParseRedaction(s string) (Redaction, error) {
	where, pattern, ok := strings.Cut(s, "=")
	table, column, inTable := strings.Cut(where, ".")
	if !inTable {
		table, column = "", where
	}
	if !ok || pattern == "" || !isName(column) || inTable && !isName(table) {
		return Redaction{}, fmt.Errorf("redaction %q is not column=pattern or table.column=pattern, for example users.description=.+", s)
	}
	p, err := regexp.Compile(pattern)
	if err != nil {
		return Redaction{}, fmt.Errorf("redaction %q: %w", s, err)
	}
	return Redaction{table, column, p, redacted}, nil
}

func redact(list []Redaction, table string, row muster.Row) muster.Row {
	clean := maps.Clone(row)
	for _, d := range list {
		if value, ok := clean[d.Column]; ok && (d.Table == "" || d.Table == table) {
			clean[d.Column] = d.Pattern.ReplaceAllString(value, d.Replacement)
		}
	}
	return clean
}

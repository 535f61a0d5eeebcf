package facts

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"modernc.org/sqlite/vtab"

	"github.com/passmuster/muster"
)

// vtabModule is the name under which SQLite knows the tables of an engine.
const vtabModule = "muster"

// module makes SQLite's virtual tables out of an engine's tables.
type module struct{ engine *SQL }

func (m module) Create(c vtab.Context, args []string) (vtab.Table, error) { return m.Connect(c, args) }

func (m module) Connect(c vtab.Context, args []string) (vtab.Table, error) {
	if len(args) < 3 || !m.engine.Has(args[2]) {
		return nil, errors.New("no such table")
	}
	t := m.engine.lookup(args[2])
	if err := c.Declare(declaration(t.Name, t.Columns)); err != nil {
		return nil, err
	}
	return virtual{m.engine, t}, nil
}

// declaration is the CREATE TABLE that gives the columns their affinity.
func declaration(name string, columns []Column) string {
	var b strings.Builder
	b.WriteString("CREATE TABLE " + quote(name) + " (")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(c.Name) + " " + affinity(c.Type))
		if c.Hidden {
			b.WriteString(" HIDDEN")
		}
	}
	return b.String() + ")"
}

func affinity(columnType string) string {
	switch columnType {
	case "integer", "bigint", "unsigned_bigint":
		return "BIGINT"
	case "double":
		return "DOUBLE"
	default:
		return "TEXT"
	}
}

// virtual is one table as SQLite sees it.
type virtual struct {
	engine *SQL
	table  *Table
}

func (v virtual) Open() (vtab.Cursor, error) { return &cursor{virtual: v}, nil }
func (v virtual) Disconnect() error          { return nil }
func (v virtual) Destroy() error             { return nil }

// Costs steer SQLite towards plans that push constraints down. As in osquery a
// scan that lacks its required column is planned only where nothing else is
// left, and then fails with a message.
const (
	costScan    = 1e6
	costMissing = 1e12
	rowsScan    = 1000
	rowsEqual   = 5
)

// BestIndex takes every usable equality and LIKE, and the LIMIT of a statement
// that asks for nothing else. The plan travels to Filter as text: the mask of
// the columns used, then each pushed column and operator.
func (v virtual) BestIndex(info *vtab.IndexInfo) error {
	plan := strconv.FormatUint(info.ColUsed, 16)
	cost, rows := costScan, int64(rowsScan)
	arg, required := 0, slices.ContainsFunc(v.table.Columns, func(c Column) bool { return c.Required })
	offset := slices.ContainsFunc(info.Constraints, func(c vtab.Constraint) bool { return c.Op == vtab.OpOFFSET })
	for i := range info.Constraints {
		c := &info.Constraints[i]
		c.ArgIndex = -1
		// SQLite offers it where it checks nothing that it does not offer too, and
		// takes it back where one of those is refused. It adds no OFFSET to it.
		if c.Op == vtab.OpLIMIT && c.Usable && !v.table.Whole && len(info.OrderBy) == 0 && !offset {
			plan += " " + limited
			c.ArgIndex = arg
			arg++
			continue
		}
		if v.table.Whole || !c.Usable || c.Column < 0 || c.Column >= len(v.table.Columns) {
			continue
		}
		switch c.Op {
		case vtab.OpEQ:
			plan += " =" + strconv.Itoa(c.Column)
			cost, rows = cost/100, rowsEqual
		case vtab.OpLIKE:
			plan += " ~" + strconv.Itoa(c.Column)
			cost /= 2
		default:
			continue
		}
		c.ArgIndex = arg
		arg++
		required = required && !v.table.Columns[c.Column].Required
	}
	if required {
		plan, cost = missingRequired, costMissing
	}
	info.IdxStr, info.EstimatedCost, info.EstimatedRows = plan, cost, rows
	return nil
}

// Words of a plan.
const (
	missingRequired = "!"
	limited         = "#"
)

// cursor walks the rows of one scan.
type cursor struct {
	virtual
	scan *scan
	next int
}

func (c *cursor) Filter(_ int, plan string, values []vtab.Value) error {
	run := c.engine.run
	if run == nil {
		return errors.New("no statement in progress")
	}
	if plan == missingRequired {
		return run.fail(fmt.Errorf("Table %s was queried without a required column in the WHERE clause", c.table.Name)) //nolint:staticcheck // osquery's own words
	}
	q, possible := c.query(plan, values)
	c.next, c.scan = 0, &scan{}
	if !possible {
		return nil
	}
	key := c.table.Name + " " + plan
	for _, con := range q.Constraints {
		key += "\x00" + con.Value
	}
	key += "\x00" + strconv.Itoa(q.Limit)
	// A join asks the same again and again; one statement sees one state of the table.
	if s := run.scans[key]; s != nil {
		c.scan = s
		return nil
	}
	s, err := run.read(c.table, q)
	if err != nil {
		return run.fail(fmt.Errorf("table %s: %w", c.table.Name, err))
	}
	run.scans[key], c.scan = s, s
	return nil
}

// query reads the plan back. It is not possible to meet where a column must equal NULL.
func (c *cursor) query(plan string, values []vtab.Value) (Query, bool) {
	parts := strings.Fields(plan)
	used, _ := strconv.ParseUint(parts[0], 16, 64)
	q := Query{Used: func(column string) bool {
		i := slices.IndexFunc(c.table.Columns, func(col Column) bool { return col.Name == column })
		return i >= 0 && used&(1<<min(i, 63)) != 0
	}}
	for i, p := range parts[1:] {
		if p == limited {
			n, _ := values[i].(int64)
			q.Limit = int(max(n, 0))
			continue
		}
		n, _ := strconv.Atoi(p[1:])
		if values[i] == nil {
			return q, false
		}
		op := Equal
		if p[0] == '~' {
			op = Like
		}
		q.Constraints = append(q.Constraints, Constraint{c.table.Columns[n].Name, op, valueText(values[i])})
	}
	return q, true
}

func (c *cursor) Next() error                      { c.next++; return nil }
func (c *cursor) Eof() bool                        { return c.next >= len(c.scan.rows) }
func (c *cursor) Close() error                     { return nil }
func (c *cursor) Column(i int) (vtab.Value, error) { return c.scan.rows[c.next][i], nil }
func (c *cursor) Rowid() (int64, error)            { return c.scan.rowid(c.next), nil }

// scan is what a table gave for one set of constraints, in SQLite's types.
type scan struct {
	rows [][]vtab.Value
	ids  []int64
}

// rowid names a row by what it says: SQLite joins the two halves of an OR by
// row id, and the halves are scans of their own.
func (s *scan) rowid(i int) int64 {
	if s.ids == nil {
		seen := map[int64]int64{}
		for _, row := range s.rows {
			h := fnv.New64a()
			for _, v := range row {
				fmt.Fprintf(h, "%v\x00", v)
			}
			id := int64(h.Sum64())
			seen[id]++
			s.ids = append(s.ids, id+seen[id]-1)
		}
	}
	return s.ids[i]
}

// read collects the rows of a table, or gives up at the deadline: a table that
// hangs is left behind, and what it says later is not heard.
func (r *run) read(t *Table, q Query) (*scan, error) {
	type outcome struct {
		scan  *scan
		bytes int
		err   error
	}
	done := make(chan outcome, 1)
	left := MaxScanBytes - r.scanned
	go func() {
		var o outcome
		defer func() {
			if p := recover(); p != nil {
				o.err = fmt.Errorf("the table failed: %v", p)
			}
			done <- o
		}()
		o.scan = &scan{}
		o.err = t.Rows(r.ctx, q, func(row muster.Row) error {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			row, err := withhold(t.Name, row)
			if err != nil {
				return err
			}
			cells := make([]vtab.Value, len(t.Columns))
			for i, c := range t.Columns {
				cells[i] = typed(c.Type, row[c.Name])
				o.bytes += cellBytes + len(row[c.Name])
			}
			if o.bytes > left {
				return fmt.Errorf("more than %d MiB: narrow the statement", MaxScanBytes>>20)
			}
			o.scan.rows = append(o.scan.rows, cells)
			return nil
		})
	}()
	select {
	case o := <-done:
		r.scanned += o.bytes
		return o.scan, o.err
	case <-r.ctx.Done():
		return nil, context.Cause(r.ctx)
	}
}

// typed gives a value the column's type, where it has it; as in osquery a
// number that is not there is NULL.
func typed(columnType, text string) vtab.Value {
	kind := affinity(columnType)
	if kind == "TEXT" {
		return text
	}
	if text == "" {
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && kind == "BIGINT" {
		return n
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && kind == "DOUBLE" {
		return f
	}
	return text
}

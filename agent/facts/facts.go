// Package facts asks this computer about itself: SQL in, rows out.
//
// A statement speaks of osquery's tables. Three engines can answer it:
// builtin (tables of Go code behind an in-process SQLite, see
// agent/facts/builtin), osquery (a running osqueryd, agent/facts/osquery) and
// recorded (a file of rows, agent/facts/recorded). This package holds what
// they share: the Table that Go code offers, the SQL engine over such tables,
// the check that keeps a policy author from reaching further than facts, and
// the Gatherer that chooses an engine for each fact.
package facts

import (
	"context"
	"errors"
	"time"

	"github.com/passmuster/muster"
)

// Limits for one statement.
const (
	// DefaultTimeout bounds one fact.
	DefaultTimeout = 10 * time.Second
	// DefaultRowLimit is the most rows that one fact may have; more is an error.
	DefaultRowLimit = 20_000
)

// Errors that a Table or an Engine returns to say why there is no answer. They
// become the fact's status; any other error is muster.FactError.
var (
	// ErrDenied: the reading needs rights that this process lacks.
	ErrDenied = errors.New("needs administrator rights")
	// ErrUnavailable: this computer or this engine does not have it.
	ErrUnavailable = errors.New("not available on this computer")
	// ErrRefused: the statement reaches for something that no policy may read.
	ErrRefused = errors.New("refused")
)

// Engine answers SQL statements.
//
// Query runs one statement that Check has passed and returns its rows, at most
// limit of them (one more is an error that says so). It honours the
// context's deadline even where a table hangs. Its error wraps ErrDenied,
// ErrUnavailable or context.DeadlineExceeded where these apply. Engines are
// safe for use by one goroutine at a time.
type Engine interface {
	// Name is "builtin", "osquery" or "recorded".
	Name() string
	// Has reports whether the engine offers the table.
	Has(table string) bool
	Query(ctx context.Context, sql string, limit int) ([]muster.Row, error)
	Close() error
}

// Column of a table. Type is osquery's: text, integer, bigint, unsigned_bigint
// or double. It decides how SQL compares; values are strings all the same.
type Column struct {
	Name string
	Type string
	// Required: without an equality (or LIKE, where the table takes it) on this
	// or another required column the table gives an error, as osquery does.
	Required bool
	// Hidden columns do not appear in SELECT *.
	Hidden bool
}

// Constraint that the statement puts on a column, pushed down to the table. SQLite
// checks every row again, so a table may ignore what it cannot use.
type Constraint struct {
	Column string
	Op     Op
	// Value compared with; for Like the pattern with SQL's % and _.
	Value string
}

// Op is a comparison that is pushed down.
type Op int

const (
	Equal Op = iota
	Like
)

// Query is what one scan of a table is asked.
type Query struct {
	Constraints []Constraint
	// Used reports whether the statement reads the column, so that a table can
	// leave out what is dear to find.
	Used func(column string) bool
	// Limit, where it is not 0, is how many rows that meet all the constraints are
	// enough: of a table that is read newest first an attacker cannot make too much.
	Limit int
}

// Equals returns the values that the column must equal: one for "= x", several
// in turn never happen (SQLite scans once per value of IN).
func (q Query) Equals(column string) (string, bool) {
	for _, c := range q.Constraints {
		if c.Column == column && c.Op == Equal {
			return c.Value, true
		}
	}
	return "", false
}

// Table is one table of Go code. One small file defines one: its columns, where
// it exists, and how its rows are read.
type Table struct {
	// Name as in osquery's schema, or prefixed muster_ for our own.
	Name    string
	Columns []Column
	// Platforms where Rows works.
	Platforms []muster.Platform
	// Source says in a few words where the rows come from, for `muster facts
	// tables`: "/proc", "dpkg status", "registry".
	Source string
	// Preferred: ask this table even where osquery has one of the name,
	// because osquery's is known to lie (baseline.md section 0).
	Preferred bool
	// Whole: the table gives all its rows whatever the constraints, so none is
	// pushed down: IN and joins then read it once instead of once per value.
	Whole bool
	// Rows calls emit for each row, in a stable order; it stops and returns
	// emit's error. A column left out of a row is "". It returns an error that
	// wraps ErrDenied where rights are missing for the table as a whole, and
	// must stop soon after ctx is done.
	Rows func(ctx context.Context, q Query, emit func(muster.Row) error) error
}
